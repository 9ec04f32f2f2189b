"""Ray clusters through the gateway: as resources of a real API server."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atoll.cluster import kinds
from atoll.errors import ConflictError
from atoll.gateway.app import create_app
from atoll.settings import Settings
from builders.gateway_site import ADMIN, Site, serving
from builders.refusals import assert_key_had_another_body


async def test_create_list_get_delete(site: Site) -> None:
    async with site.client() as client:
        made = await client.post("/ray-clusters", json={"name": "one", "workers": 2})
        assert made.status_code == 201, made.text
        assert made.headers["location"] == "/v1/virtual-clusters/demo/ray-clusters/one"
        stored = await site.cluster.get(kinds.RAY_CLUSTER, "one", "ray")
        assert stored["metadata"]["labels"]["volcano.sh/queue-name"] == "team-blue"
        assert stored["spec"]["workerGroupSpecs"][0]["replicas"] == 2
        image = stored["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]["image"]
        assert image == "mirror.example/rayproject/ray:2.60.0"
        listed = (await client.get("/ray-clusters")).json()["items"]
        assert [(c["name"], c["state"], c["workers"]) for c in listed] == [("one", "pending", 2)]
        again = await client.post("/ray-clusters", json={"name": "one"})
        assert (again.status_code, again.json()["code"]) == (409, "exists")
        gone = await client.delete("/ray-clusters/one")
        assert (gone.status_code, gone.json()["state"]) == (202, "deleting")
        assert (await client.get("/ray-clusters/one")).status_code == 404
        assert (await client.delete("/ray-clusters/one")).status_code == 404


@pytest.fixture
async def sized(site: Site) -> AsyncIterator[Site]:
    """The virtual cluster owns nodes of one template, of which there is one of 4 CPUs."""
    meta = {"name": "sized", "labels": {"atoll.dev/node-template": "sized"}}
    made = await site.cluster.create({"apiVersion": "v1", "kind": "Node", "metadata": meta})
    size = {"cpu": "4", "memory": "8Gi"}
    status = {"status": {"capacity": size, "allocatable": size}}
    await site.cluster.patch(kinds.NODE, made["metadata"]["name"], status, status=True)
    wish = {"spec": {"replicaSets": {"sized": 1}}}
    await site.cluster.patch(kinds.VIRTUAL_CLUSTER, "demo", wish)
    yield site
    await site.cluster.patch(kinds.VIRTUAL_CLUSTER, "demo", {"spec": {"replicaSets": {"sized": 0}}})
    await site.cluster.delete(kinds.NODE, "sized")


async def test_one_larger_than_any_node_is_refused_and_by_kubectl_says_so(sized: Site) -> None:
    async with sized.client() as client:
        refused = await client.post("/ray-clusters", json={"name": "wide", "workerCpu": "6"})
        assert refused.status_code == 422, refused.text
        (problem,) = refused.json()["errors"]
        assert (problem["pointer"], problem["limit"]) == ("/workerCpu", "4")
        fits = await client.post("/ray-clusters", json={"name": "fits", "workerCpu": "4"})
        assert fits.status_code == 201, fits.text
        wide = await sized.cluster.get(kinds.RAY_CLUSTER, "fits", "ray")
        container = wide["spec"]["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]
        container["resources"] = {"limits": {"cpu": "6", "memory": "1Gi"}}
        meta = {"name": "by-kubectl", "namespace": "ray"}
        await sized.cluster.create({**wide, "metadata": meta})
        told = (await client.get("/ray-clusters/by-kubectl")).json()
        assert told["state"] == "pending"
        assert "Each worker of group 'workers' asks for 6 of cpu" in told["message"]
        assert "the largest node it may run on has 4" in told["message"]
        listed = {
            c["name"]: c["message"] for c in (await client.get("/ray-clusters")).json()["items"]
        }
        assert "asks for 6" in listed["by-kubectl"]
        assert listed["fits"] == ""
        for name in ("by-kubectl", "fits"):
            await client.delete(f"/ray-clusters/{name}")


async def test_a_dry_run_checks_and_writes_nothing(site: Site) -> None:
    async with site.client() as client:
        dry = await client.post("/ray-clusters", json={"name": "dry"}, params={"dry_run": "server"})
        assert dry.status_code == 201, dry.text
        assert (await client.get("/ray-clusters/dry")).status_code == 404


async def test_an_idempotency_key_makes_one_ray_cluster(site: Site) -> None:
    key, body = {"Idempotency-Key": "make-once"}, {"name": "once", "workers": 2}
    async with site.client() as client:
        dry = await client.post(
            "/ray-clusters", json=body, headers=key, params={"dry_run": "server"}
        )
        asks = [client.post("/ray-clusters", json=body, headers=key) for _ in range(4)]
        answers = await asyncio.gather(*asks)
        other = await client.post("/ray-clusters", json=body | {"workers": 3}, headers=key)
        renamed = await client.post("/ray-clusters", json=body | {"name": "twice"}, headers=key)
        odd = await client.post("/ray-clusters", json=body, headers={"Idempotency-Key": "a b"})
        unkeyed = await client.post("/ray-clusters", json=body)
        listed = (await client.get("/ray-clusters")).json()["items"]
        await client.delete("/ray-clusters/once")
        anew = await client.post("/ray-clusters", json=body, headers=key)
        await client.delete("/ray-clusters/once")
    assert dry.status_code == 201
    assert {a.status_code for a in answers} == {201}, [a.text for a in answers]
    assert len({(a.text, a.headers["location"]) for a in answers}) == 1
    for refused in (other, renamed):
        assert_key_had_another_body(refused)
    assert odd.json()["errors"][0]["pointer"] == "/header/Idempotency-Key"
    assert unkeyed.json()["code"] == "exists"
    assert [(c["name"], c["workers"]) for c in listed] == [("once", 2)]
    assert anew.status_code == 201


async def test_only_the_version_that_was_read_is_deleted(site: Site) -> None:
    async with site.client() as client:
        made = await client.post("/ray-clusters", json={"name": "tagged"})
        etag = made.headers["etag"]
        await _report(site, "tagged", {"state": "ready"})
        read = await client.get("/ray-clusters/tagged")
        assert (read.headers["etag"], read.json()["state"]) == (etag, "ready")
        wish = {"spec": {"suspend": True}}
        await site.cluster.patch(kinds.RAY_CLUSTER, "tagged", wish, "ray")
        now = (await client.get("/ray-clusters/tagged")).headers["etag"]
        stale = await client.delete("/ray-clusters/tagged", headers={"If-Match": etag})
        problem = stale.json()
        assert (stale.status_code, problem["code"]) == (412, "precondition_failed")
        assert (problem["errors"][0]["pointer"], problem["revision"]) == (
            "/header/If-Match", now.strip('"'),
        )  # fmt: skip
        odd = await client.delete("/ray-clusters/tagged", headers={"If-Match": "1"})
        assert (odd.status_code, odd.json()["errors"][0]["pointer"]) == (422, "/header/If-Match")
        gone = await client.delete("/ray-clusters/tagged", headers={"If-Match": f'"1", {now}'})
        assert gone.status_code == 202, gone.text
        assert (await client.get("/ray-clusters/tagged")).status_code == 404
        anew = await client.post("/ray-clusters", json={"name": "tagged"})
        assert anew.headers["etag"] not in (etag, now)
        any_one = await client.delete("/ray-clusters/tagged", headers={"If-Match": "*"})
        assert any_one.status_code == 202, any_one.text


async def test_a_deletion_that_is_asked_for_twice_is_no_change_of_somebody_else(site: Site) -> None:
    """Kubernetes counts the deletion as a generation while KubeRay's finalizer holds the object."""
    held = {"metadata": {"finalizers": ["ray.io/gcs-ft-redis-cleanup-finalizer"]}}
    async with site.client() as client:
        made = await client.post("/ray-clusters", json={"name": "leaving"})
        await site.cluster.patch(kinds.RAY_CLUSTER, "leaving", held, "ray")
        try:
            version = {"If-Match": made.headers["etag"]}
            for _ in range(2):
                gone = await client.delete("/ray-clusters/leaving", headers=version)
                assert (gone.status_code, gone.json()["state"]) == (202, "deleting"), gone.text
            another = await client.delete("/ray-clusters/leaving", headers={"If-Match": '"0.1"'})
            assert another.status_code == 412
        finally:
            free = {"metadata": {"finalizers": None}}
            await site.cluster.patch(kinds.RAY_CLUSTER, "leaving", free, "ray")


async def test_two_gateways_with_one_key_make_one_ray_cluster(site: Site, api_server: Path) -> None:
    """The lock is of one process; between two the object itself decides."""
    settings = Settings(kubeconfig=api_server, admin_token=ADMIN, reach="service")
    async with serving(create_app(settings)) as url:
        there = Site(url, api_server, site.cluster)
        async with site.client() as one, there.client() as two:
            for index in range(5):
                body = {"name": f"race-{index}"}
                keyed = {"Idempotency-Key": f"two-gateways-{index}"}
                answers = await asyncio.gather(
                    *(c.post("/ray-clusters", json=body, headers=keyed) for c in (one, two))
                )
                await one.delete(f"/ray-clusters/race-{index}")
                assert [a.status_code for a in answers] == [201, 201], [a.text for a in answers]


async def test_every_request_for_a_credential_makes_a_new_token(site: Site) -> None:
    key = {"Idempotency-Key": "tokens-are-not-kept"}
    async with site.client() as client:
        answers = [await client.post("/credentials", headers=key) for _ in range(2)]
    assert [a.status_code for a in answers] == [201, 201]
    assert answers[0].json()["token"] != answers[1].json()["token"]


async def test_a_body_over_the_limit_is_refused_by_the_gateway_too(site: Site) -> None:
    large = b'{"name":"' + b"x" * 1_200_000 + b'"}'
    async with site.client() as client:
        for way in ("/ray-clusters", "/ray-jobs", "/credentials"):
            answer = await client.post(way, content=large)
            assert (answer.status_code, answer.json()["size"]) == (413, len(large))
            assert answer.json()["request_id"] == answer.headers["x-request-id"]


async def test_the_state_follows_what_kuberay_reports(site: Site) -> None:
    async with site.client() as client:
        await client.post("/ray-clusters", json={"name": "two"})
        await _report(site, "two", {"state": "ready", "readyWorkerReplicas": 1})
        ready = (await client.get("/ray-clusters/two")).json()
        lost = {
            "type": "HeadPodReady",
            "status": "False",
            "reason": "HeadPodNotFound",
            "message": "gone",
        }
        await _report(site, "two", {"state": "ready", "conditions": [lost]})
        pending = (await client.get("/ray-clusters/two")).json()
        await client.delete("/ray-clusters/two")
    assert (ready["state"], ready["readyWorkers"], ready["faultTolerant"]) == ("ready", 1, True)
    assert (pending["state"], pending["message"]) == ("pending", "HeadPodNotFound: gone")


async def _report(site: Site, name: str, status: dict[str, Any]) -> None:
    await site.cluster.patch(kinds.RAY_CLUSTER, name, {"status": status}, "ray", status=True)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "Not_a_label"}, "/name"),
        ({"name": "a" * 33}, "/name"),
        ({"name": "x", "workers": -1}, "/workers"),
        ({"name": "x", "headCpu": "-1"}, "/headCpu"),
        ({"name": "x", "gpus": 1}, "/gpus"),
        ({}, "/name"),
    ],
)
async def test_bad_input_names_the_field(site: Site, body: dict[str, Any], pointer: str) -> None:
    async with site.client() as client:
        answer = await client.post("/ray-clusters", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [e["pointer"] for e in answer.json()["errors"]] == [pointer]


async def test_what_the_spec_keeps_is_changed_in_the_spec(site: Site) -> None:
    async with site.client() as client:
        made = await client.post("/ray-clusters", json={"name": "kept"})
        gone = await client.delete("/ray-clusters/kept")
    assert [a.json()["code"] for a in (made, gone)] == ["kept_by_spec"] * 2


async def test_a_log_of_a_pod_that_is_not_the_clusters_is_not_shown(site: Site) -> None:
    pod = {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "stranger", "namespace": "ray"},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }  # fmt: skip
    with contextlib.suppress(ConflictError):
        await site.cluster.create(pod)
    async with site.client() as client:
        await client.post("/ray-clusters", json={"name": "three"})
        stranger = await client.get("/ray-clusters/three/logs", params={"pod": "stranger"})
        no_head = await client.get("/ray-clusters/three/logs")
        await client.delete("/ray-clusters/three")
    assert (stranger.status_code, no_head.status_code) == (404, 404)
    assert "no pod 'stranger'" in stranger.json()["detail"]


async def test_without_the_operator_the_missing_step_is_named(site: Site) -> None:
    crd = await site.cluster.get(kinds.CRD, "rayclusters.ray.io")
    await site.cluster.delete(kinds.CRD, "rayclusters.ray.io")
    try:
        async with site.client() as client:
            deadline = time.monotonic() + 60
            while (answer := await client.get("/ray-clusters")).status_code == 200:
                assert time.monotonic() < deadline, "the kind does not go"
                await asyncio.sleep(0.1)
        assert (answer.status_code, answer.json()["code"]) == (409, "not_ready")
        assert "OperatorReady" in answer.json()["detail"]
    finally:
        crd["metadata"] = {"name": crd["metadata"]["name"]}
        crd.pop("status", None)
        await _make_anew(site, crd)


async def _make_anew(site: Site, crd: dict[str, Any]) -> None:
    """Once the one that was deleted is gone for good; the tests after this one need the kind."""
    deadline = time.monotonic() + 60
    while True:
        try:
            await site.cluster.create(crd)
        except ConflictError:
            assert time.monotonic() < deadline, "the kind cannot be made anew"
            await asyncio.sleep(0.1)
        else:
            return
