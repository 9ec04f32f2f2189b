"""Ray clusters through the gateway: as resources of a real API server, and its Service proxy."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from atoll.cluster import kinds
from atoll.errors import ConflictError
from atoll.gateway.app import create_app
from atoll.settings import Settings
from builders.gateway_site import ADMIN, Site, serving


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
        assert (refused.status_code, refused.json()["code"]) == (422, "idempotency_mismatch")
    assert odd.json()["errors"][0]["pointer"] == "/header/Idempotency-Key"
    assert unkeyed.json()["code"] == "exists"
    assert [(c["name"], c["workers"]) for c in listed] == [("once", 2)]
    assert anew.status_code == 201


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
            for _ in range(50):
                answer = await client.get("/ray-clusters")
                if answer.status_code != 200:
                    break
        assert (answer.status_code, answer.json()["code"]) == (409, "not_ready")
        assert "OperatorReady" in answer.json()["detail"]
    finally:
        crd["metadata"] = {"name": crd["metadata"]["name"]}
        crd.pop("status", None)
        for _ in range(50):
            with contextlib.suppress(ConflictError):
                await site.cluster.create(crd)
                break


# --- the way to a head through the API server's Service proxy ---


def outside_address() -> str | None:
    """An address of this machine that is not loopback: the API server dials no other for a Service."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            return None
        found = str(probe.getsockname()[0])
    return None if found.startswith("127.") else found


class Echo:
    """A head that tells what reached it."""

    def __init__(self) -> None:
        self.app = Starlette(
            routes=[
                Route("/echo/{rest:path}", self.echo, methods=["GET", "PUT", "POST"]),
                Route("/drip", self.drip),
                Route("/away", self.away),
                WebSocketRoute("/talk", self.talk),
            ]
        )

    async def echo(self, request: Request) -> Response:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
        seen = dict(request.headers.items())
        return JSONResponse(
            {
                "path": request.scope["path"],
                "query": str(request.url.query),
                "headers": seen,
                "size": size,
            },
            headers={
                "set-cookie": "atoll_session=stolen",
                "access-control-allow-origin": "*",
                "x-ray": "1",
            },
        )

    async def drip(self, request: Request) -> Response:
        async def drops() -> AsyncIterator[bytes]:
            for number in range(3):
                yield b"%d\n" % number

        return StreamingResponse(drops(), media_type="text/plain")

    async def away(self, request: Request) -> Response:
        return RedirectResponse("/echo/there?x=1")

    async def talk(self, websocket: WebSocket) -> None:
        await websocket.accept()
        said = await websocket.receive_text()
        await websocket.send_text(f"{said}, {websocket.headers.get('authorization')}")
        await websocket.close(1000)


@pytest.fixture
async def proxied(site: Site) -> AsyncIterator[Site]:
    address = outside_address()
    if address is None:
        pytest.skip("this machine has no address but loopback, and API servers dial no loopback")
    async with site.client() as client:
        await client.post("/ray-clusters", json={"name": "echo"})
    async with serving(Echo().app, host=address) as url:
        port = int(url.rsplit(":", 1)[1])
        service = {
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "echo-head-svc", "namespace": "ray"},
            "spec": {"ports": [{"name": "dashboard", "port": 8265, "targetPort": port}]},
        }  # fmt: skip
        pod = {
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "echo-head", "namespace": "ray"},
            "spec": {"containers": [{"name": "ray-head", "image": "i"}]},
        }  # fmt: skip
        # An API server dials only an address that is a pod's.
        with contextlib.suppress(ConflictError):
            await site.cluster.create(pod)
        status = {"podIP": address, "podIPs": [{"ip": address}]}
        await site.cluster.patch(kinds.POD, "echo-head", {"status": status}, "ray", status=True)
        target = {"kind": "Pod", "name": "echo-head", "namespace": "ray"}
        endpoints = {
            "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "echo-head-svc"},
            "subsets": [{"addresses": [{"ip": address, "targetRef": target}],
                         "ports": [{"name": "dashboard", "port": port}]}],
        }  # fmt: skip
        await site.cluster.create(service)
        path = "/api/v1/namespaces/ray/endpoints"
        await site.cluster.request("POST", path, body=endpoints)
        yield site
        await site.cluster.request("DELETE", f"{path}/echo-head-svc")
        await site.cluster.delete(kinds.SERVICE, "echo-head-svc", "ray")
        await site.cluster.delete(kinds.RAY_CLUSTER, "echo", "ray")


async def test_the_proxy_passes_requests_and_no_secret(proxied: Site) -> None:
    big = b"x" * (20 * 1024 * 1024)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(big), 65536):
            yield big[start : start + 65536]

    async with proxied.client() as client:
        answer = await client.put(
            "/ray-clusters/echo/proxy/echo/a%20b?q=1&q=2",
            content=pieces(),
            headers={
                "cookie": "atoll_session=mine",
                "impersonate-user": "root",
                "x-forwarded-for": "1.1.1.1",
            },
        )
    assert answer.status_code == 200, answer.text
    seen = answer.json()
    assert (seen["path"], seen["query"], seen["size"]) == ("/echo/a b", "q=1&q=2", len(big))
    assert ADMIN not in json.dumps(seen)
    # The API server names the address it saw itself; what the caller claimed does not arrive.
    assert not {"authorization", "cookie", "impersonate-user"} & set(seen["headers"])
    assert "1.1.1.1" not in seen["headers"].get("x-forwarded-for", "")
    assert answer.headers["x-ray"] == "1"
    assert not {"set-cookie", "access-control-allow-origin"} & set(answer.headers)


async def test_redirects_of_ray_stay_behind_the_proxy(proxied: Site) -> None:
    async with proxied.client() as client:
        answer = await client.get("/ray-clusters/echo/proxy/away")
        bare = await client.get("/ray-clusters/echo/proxy")
    here = "/v1/virtual-clusters/demo/ray-clusters/echo/proxy"
    assert bare.headers["location"] == f"{here}/"
    assert answer.headers["location"] == f"{here}/echo/there?x=1"


async def test_a_websocket_passes_both_ways(proxied: Site) -> None:
    async with proxied.client() as client:
        path = "/ray-clusters/echo/proxy/talk"
        async with client.websocket(path) as session:
            await session.send_text("hello")
            assert await session.receive_text(timeout=5) == "hello, None"
    async with proxied.client("wrong") as client:
        with pytest.raises(Exception) as refused:  # noqa: PT011 - httpx2 names it in a private place
            async with client.websocket(path):
                pass
    assert refused.value.response.status_code == 401  # type: ignore[attr-defined]


async def test_the_proxy_needs_a_token_and_a_ray_cluster(proxied: Site) -> None:
    async with proxied.client(None) as client:
        assert (await client.get("/ray-clusters/echo/proxy/drip")).status_code == 401
    async with proxied.client() as client:
        assert (await client.get("/ray-clusters/echo/proxy/drip")).text == "0\n1\n2\n"
        assert (await client.get("/ray-clusters/none/proxy/drip")).status_code == 404
        url = httpx2.URL(proxied.url).copy_with(
            raw_path=b"/v1/virtual-clusters/demo/ray-clusters/echo/proxy/%2e%2e/%2e%2e/secrets"
        )
        assert (await client.get(url)).status_code == 422


async def test_a_head_without_an_endpoint_is_a_problem_and_not_a_status(site: Site) -> None:
    async with site.client() as client:
        await client.post("/ray-clusters", json={"name": "headless"})
        answer = await client.get("/ray-clusters/headless/proxy/api/version")
        await client.delete("/ray-clusters/headless")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.status_code == 404
    assert "not there (yet)" in answer.json()["detail"]
