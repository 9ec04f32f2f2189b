"""Ray jobs through the gateway, on a real Ray head of this machine (as in the sandbox)."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest

from atoll.cluster import kinds
from atoll.errors import ConflictError
from atoll.gateway.app import create_app
from atoll.hosts.sandbox.agent.rayenv import python_of
from atoll.main import build_api
from atoll.settings import Settings
from builders.gateway_site import ADMIN, VC, Site, free_port, serving
from builders.refusals import assert_key_had_another_body
from conftest import free_ports

VERSION = "2.60.0"


@dataclass(frozen=True)
class RealRay:
    python: Path
    port: int


@pytest.fixture(scope="module")
def real_ray() -> Iterator[RealRay]:
    """A head with one CPU and the job API, on loopback. The first time Ray is installed for it."""
    python = asyncio.run(python_of(VERSION))
    folder = tempfile.mkdtemp(prefix="ray-")
    port, store, clients, agent, metrics = free_ports(5)
    argv = [
        str(python), "-m", "ray.scripts.scripts", "start", "--head", "--block",
        "--node-ip-address=127.0.0.1", f"--port={store}", "--num-cpus=1",
        "--dashboard-host=127.0.0.1", f"--dashboard-port={port}",
        f"--ray-client-server-port={clients}", f"--dashboard-agent-listen-port={agent}",
        f"--metrics-export-port={metrics}", "--min-worker-port=0", "--max-worker-port=0",
        "--object-store-memory=80000000", f"--temp-dir={folder}", "--disable-usage-stats",
    ]  # fmt: skip
    env = {
        "PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(Path.home()),
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_OBJECT_STORE_ALLOW_SLOW_STORAGE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    written = Path(folder) / "head.log"
    with written.open("wb") as log:
        process = subprocess.Popen(argv, env=env, stdout=log, stderr=log, start_new_session=True)
    try:
        deadline = time.monotonic() + 120
        while not _answers(port):
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"the head did not start: {written.read_text()[-2000:]}")
            time.sleep(0.25)
        yield RealRay(python, port)
    finally:
        with contextlib.suppress(ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(5)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _answers(port: int) -> bool:
    """Whether the head has its job API."""
    with contextlib.suppress(httpx2.HTTPError):
        return httpx2.get(f"http://127.0.0.1:{port}/api/jobs/", timeout=5).status_code == 200
    return False


@pytest.fixture
async def jobs(site: Site, api_server: Path, real_ray: RealRay) -> AsyncIterator[Site]:
    """A gateway as in the sandbox: the head's Service carries its address on this machine."""
    settings = Settings(kubeconfig=api_server, admin_token=ADMIN, reach="kubeconfig")
    async with serving(create_app(settings)) as url:
        here = Site(url, site.kubeconfig, site.cluster)
        await _ready_cluster(here, "main", real_ray.port)
        yield here
        await _remove_cluster(here, "main")


async def _ready_cluster(site: Site, name: str, port: int) -> None:
    async with site.client() as client:
        await client.post("/ray-clusters", json={"name": name})
    await site.cluster.patch(
        kinds.RAY_CLUSTER, name, {"status": {"state": "ready"}}, "ray", status=True
    )
    service = {
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"name": f"{name}-head-svc", "namespace": "ray",
                     "annotations": {"sandbox.atoll.dev/endpoint": f"127.0.0.1:{port}"}},
        "spec": {"ports": [{"name": "dashboard", "port": 8265}]},
    }  # fmt: skip
    with contextlib.suppress(ConflictError):
        await site.cluster.create(service)


async def _remove_cluster(site: Site, name: str) -> None:
    await site.cluster.delete(kinds.SERVICE, f"{name}-head-svc", "ray")
    await site.cluster.delete(kinds.RAY_CLUSTER, name, "ray")


async def _ended(client: httpx2.AsyncClient, name: str) -> dict[str, Any]:
    async with asyncio.timeout(60):
        while True:
            job: dict[str, Any] = (await client.get(f"/ray-jobs/{name}")).json()
            if job["status"] in ("SUCCEEDED", "FAILED", "STOPPED"):
                return job
            await asyncio.sleep(0.3)


async def test_a_job_from_submission_to_its_log_and_its_end(jobs: Site, tmp_path: Path) -> None:
    go_on = tmp_path / "go-on"
    script = f"echo one; until [ -e {go_on} ]; do sleep 0.1; done; echo two"
    body = {"name": "count", "cluster": "main", "entrypoint": script}
    async with jobs.client() as client:
        made = await client.post("/ray-jobs", json=body)
        assert made.status_code == 201, made.text
        assert made.headers["location"] == "/v1/virtual-clusters/demo/ray-jobs/count"
        again = await client.post("/ray-jobs", json=body)
        assert (again.status_code, again.json()["code"]) == (409, "exists"), again.text
        assert "Traceback" not in again.text
        assert _said("\n".join(await _follow(client, "count", go_on.touch))) == ["one", "two"]
        job = await _ended(client, "count")
        assert (job["status"], job["cluster"], job["entrypoint"]) == (
            "SUCCEEDED", "main", body["entrypoint"],
        )  # fmt: skip
        assert job["startedAt"] < job["endedAt"]
        log = await client.get("/ray-jobs/count/logs")
        assert log.headers["content-type"].startswith("text/plain")
        assert _said(log.text) == ["one", "two"]
        # Following a job that has ended gives the same, and ends.
        followed = await client.get("/ray-jobs/count/logs", params={"follow": "true"})
        assert _said(followed.text) == ["one", "two"]
        listed = (await client.get("/ray-jobs")).json()["items"]
        assert "count" in [j["name"] for j in listed]
        assert (await client.delete("/ray-jobs/count")).status_code == 204
        assert (await client.get("/ray-jobs/count")).status_code == 404
        assert (await client.delete("/ray-jobs/count")).status_code == 404


async def test_an_idempotency_key_starts_one_job(jobs: Site, tmp_path: Path) -> None:
    started = tmp_path / "started"
    key = {"Idempotency-Key": "start-once"}
    body = {
        "name": "keyed", "cluster": "main", "entrypoint": f"echo once >> {started}",
        "metadata": {"mine": "kept"},
    }  # fmt: skip
    async with jobs.client() as client:
        asks = [client.post("/ray-jobs", json=body, headers=key) for _ in range(3)]
        answers = await asyncio.gather(*asks)
        assert {a.status_code for a in answers} == {201}, [a.text for a in answers]
        assert len({a.headers["location"] for a in answers}) == 1
        await _ended(client, "keyed")
        again = await client.post("/ray-jobs", json=body, headers=key)
        assert (again.status_code, again.json()["status"]) == (201, "SUCCEEDED")
        for change in ({"entrypoint": "false"}, {"name": "keyed-2"}):
            other = await client.post("/ray-jobs", json=body | change, headers=key)
            assert_key_had_another_body(other)
        unkeyed = await client.post("/ray-jobs", json=body)
        assert unkeyed.json()["code"] == "exists"
        raw = (await client.get("/ray-clusters/main/proxy/api/jobs/keyed")).json()
        assert raw["metadata"]["mine"] == "kept"
        assert "start-once" not in str(raw)
        assert (await client.get("/ray-jobs/keyed-2")).status_code == 404
        assert started.read_text().splitlines() == ["once"]
        await client.delete("/ray-jobs/keyed")


async def test_a_silent_neighbour_does_not_hold_up_a_keyed_job(jobs: Site) -> None:
    await _ready_cluster(jobs, "dead", free_port())
    try:
        async with jobs.client() as client:
            body = {"name": "near", "cluster": "main", "entrypoint": "true"}
            made = await client.post("/ray-jobs", json=body, headers={"Idempotency-Key": "near"})
            assert made.status_code == 201, made.text
            await _ended(client, "near")
            await client.delete("/ray-jobs/near")
    finally:
        await _remove_cluster(jobs, "dead")


def _said(log: str) -> list[str]:
    """What the job wrote; Ray's own first line may come anywhere."""
    return [line for line in log.splitlines() if line in ("one", "two")]


async def _follow(client: httpx2.AsyncClient, name: str, go_on: Callable[[], None]) -> list[str]:
    """The log as it comes; the job writes "two" only after its "one" has been seen here."""
    seen: list[str] = []
    async with asyncio.timeout(60):
        async with client.stream("GET", f"/ray-jobs/{name}/logs?follow=true") as stream:
            assert stream.status_code == 200
            async for line in stream.aiter_lines():
                seen.append(line)
                if line == "one":
                    go_on()
    return seen


async def test_deleting_a_running_job_stops_it(jobs: Site) -> None:
    async with jobs.client() as client:
        body = {"name": "long", "cluster": "main", "entrypoint": "sleep 300"}
        assert (await client.post("/ray-jobs", json=body)).status_code == 201
        gone = await client.delete("/ray-jobs/long")
        assert gone.status_code == 204, gone.text
        assert (await client.get("/ray-jobs/long")).status_code == 404


async def test_refusals_name_the_field_and_say_what_ray_says(jobs: Site) -> None:
    ok = {"name": "x", "cluster": "main", "entrypoint": "true"}
    async with jobs.client() as client:
        await client.post("/ray-clusters", json={"name": "young"})
        bad_env = await client.post(
            "/ray-jobs", json=ok | {"runtime_env": {}, "runtimeEnv": {"pip": 3}}
        )
        wrong_env = await client.post("/ray-jobs", json=ok | {"runtimeEnv": {"pip": 3}})
        answers = [
            await client.post("/ray-jobs", json=ok | change)
            for change in (
                {"name": "a/b"},
                {"entrypoint": " "},
                {"cluster": "none"},
                {"cluster": "young"},
            )
        ]
        await client.delete("/ray-clusters/young")
        await client.delete("/ray-jobs/x")
        missing = await client.get("/ray-jobs/none/logs")
        odd = await client.get("/ray-jobs/%2e%2e")
    pointers = [[e["pointer"] for e in a.json().get("errors", [])] for a in answers]
    assert pointers == [["/name"], ["/entrypoint"], ["/cluster"], []]
    assert [a.status_code for a in answers] == [422, 422, 422, 409]
    assert answers[3].json()["code"] == "not_ready"
    assert bad_env.status_code == 422
    # Ray itself takes it and lets it fail: the reason is in the message.
    assert (wrong_env.status_code, wrong_env.json()["status"]) == (201, "FAILED"), wrong_env.text
    assert "must be of type" in wrong_env.json()["message"]
    assert "raceback" not in wrong_env.text
    assert (missing.status_code, odd.status_code) == (404, 404)


async def test_ray_job_resources_are_listed_beside_submitted_jobs(jobs: Site) -> None:
    made = await jobs.cluster.create({
        "apiVersion": "ray.io/v1", "kind": "RayJob",
        "metadata": {"name": "by-hand", "namespace": "ray"},
        "spec": {"entrypoint": "python count.py"},
    })  # fmt: skip
    assert made["metadata"]["name"] == "by-hand"
    async with jobs.client() as client:
        job = (await client.get("/ray-jobs/by-hand")).json()
        assert (job["status"], job["entrypoint"]) == ("PENDING", "python count.py")
        early = await client.get("/ray-jobs/by-hand/logs")
        assert (early.status_code, early.json()["code"]) == (409, "not_ready")
        status = {"jobStatus": "RUNNING", "jobId": "by-hand-1", "rayClusterName": "main"}
        await jobs.cluster.patch(kinds.RAY_JOB, "by-hand", {"status": status}, "ray", status=True)
        # What KubeRay submitted for it is the same job and not listed twice.
        body = {"name": "by-hand-1", "cluster": "main", "entrypoint": "echo by hand"}
        assert (await client.post("/ray-jobs", json=body)).status_code == 201
        names = [j["name"] for j in (await client.get("/ray-jobs")).json()["items"]]
        assert "by-hand" in names
        assert "by-hand-1" not in names
        await _ended(client, "by-hand-1")
        assert (await client.get("/ray-jobs/by-hand/logs")).text.endswith("by hand\n")
        await client.delete("/ray-jobs/by-hand-1")
        assert (await client.delete("/ray-jobs/by-hand")).status_code == 204
    assert await jobs.cluster.find(kinds.RAY_JOB, "by-hand", "ray") is None


async def test_a_silent_head_is_named_and_hides_no_other_jobs(jobs: Site) -> None:
    await _ready_cluster(jobs, "dead", free_port())
    try:
        async with jobs.client() as client:
            listed = await client.get("/ray-jobs")
            one = await client.get("/ray-jobs/whatever")
            direct = await client.get("/ray-clusters/dead/proxy/api/version")
    finally:
        await _remove_cluster(jobs, "dead")
    assert (listed.status_code, listed.headers["atoll-incomplete"]) == (200, "dead")
    assert (one.status_code, direct.status_code) == (503, 503)
    assert "dead" in one.json()["detail"]


async def test_only_a_loopback_endpoint_is_believed(jobs: Site, real_ray: RealRay) -> None:
    """A tenant can write annotations: they must not send the gateway elsewhere."""
    await _ready_cluster(jobs, "sly", real_ray.port)
    try:
        async with jobs.client() as client:
            path = "/ray-clusters/sly/proxy/api/version"
            assert (await client.get(path)).status_code == 200
            for elsewhere in (
                f"127.0.0.1.example:{real_ray.port}",
                "10.0.0.1:80",
                f"x@127.0.0.1:{real_ray.port}",
            ):
                change = {"metadata": {"annotations": {"sandbox.atoll.dev/endpoint": elsewhere}}}
                await jobs.cluster.patch(kinds.SERVICE, "sly-head-svc", change, "ray")
                answer = await client.get(path)
                # It falls back to the API server's Service proxy, which has no endpoint for it.
                assert answer.status_code in (404, 503), answer.text
                assert (
                    "services" in answer.json()["detail"] or "endpoints" in answer.json()["detail"]
                )
    finally:
        await _remove_cluster(jobs, "sly")


@pytest.mark.parametrize("process", ["gateway", "api"])
async def test_the_stock_ray_job_commands_work_through_the_proxy(
    jobs: Site, real_ray: RealRay, tmp_path: Path, process: str
) -> None:
    """`ray job submit` uploads a folder, submits, and follows the log over a WebSocket."""
    (tmp_path / "hello.py").write_text("print('hello from the folder')\n")
    if process == "gateway":
        await _submit_as_ray_does(jobs, jobs.url, real_ray, tmp_path)
        return
    settings = Settings(kubeconfig=jobs.kubeconfig, admin_token=ADMIN, gateway_url=jobs.url)
    async with serving(build_api(settings)) as api:
        await _submit_as_ray_does(jobs, api, real_ray, tmp_path)
        # The API's own way to a log: text, as it comes.
        go_on = tmp_path / "go-on"
        script = f"echo one; until [ -e {go_on} ]; do sleep 0.1; done; echo two"
        async with Site(api, jobs.kubeconfig, jobs.cluster).client() as client:
            body = {"name": "live", "cluster": "main", "entrypoint": script}
            assert (await client.post("/ray-jobs", json=body)).status_code == 201
            assert _said("\n".join(await _follow(client, "live", go_on.touch))) == ["one", "two"]
            assert (await client.delete("/ray-jobs/live")).status_code == 204


async def _submit_as_ray_does(jobs: Site, url: str, real_ray: RealRay, tmp_path: Path) -> None:
    address = f"{url}/v1/virtual-clusters/{VC}/ray-clusters/main/proxy"
    environment = {
        "PATH": f"{real_ray.python.parent}:/usr/bin:/bin",
        "HOME": str(tmp_path),
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    argv = [
        str(real_ray.python), "-m", "ray.scripts.scripts", "job", "submit", "--address", address,
        "--headers", f'{{"Authorization": "Bearer {ADMIN}"}}',
        "--submission-id", "stock", "--working-dir", str(tmp_path), "--", "python", "hello.py",
    ]  # fmt: skip
    running = await asyncio.create_subprocess_exec(
        *argv, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    async with asyncio.timeout(120):
        output, _ = await running.communicate()
    assert running.returncode == 0, output.decode()[-3000:]
    assert b"hello from the folder" in output
    assert b"succeeded" in output
    async with jobs.client() as client:
        assert (await client.get("/ray-jobs/stock")).json()["status"] == "SUCCEEDED"
        assert (await client.delete("/ray-jobs/stock")).status_code == 204
