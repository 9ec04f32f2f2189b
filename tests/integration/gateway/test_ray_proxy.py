"""The way to a Ray head through the gateway and the API server's Service proxy."""

import contextlib
import json
import socket
from collections.abc import AsyncIterator

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from atoll.cluster import kinds
from atoll.errors import ConflictError
from builders.gateway_site import ADMIN, Site, serving


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
            assert await session.receive_text(timeout=30) == "hello, None"
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
