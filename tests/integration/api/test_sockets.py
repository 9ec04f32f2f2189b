"""WebSockets through the API: to a real WebSocket server that stands for the gateway."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from httpx2.websockets import WebSocketDisconnect, WebSocketUpgradeError
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketState

from atoll.auth.sessions import COOKIE, session_value
from atoll.main import build_api
from atoll.settings import Settings
from builders.gateway_site import free_port, serving

TOKEN = "a-token-of-the-test"
RAY = "/v1/virtual-clusters/lab/ray-clusters/main/proxy/talk"
KUBERNETES = "/v1/virtual-clusters/lab/kubernetes/api/v1/namespaces/ray/pods/a/exec"
BEARER = {"authorization": f"Bearer {TOKEN}"}


@dataclass
class FarEnd:
    """Echoes, tells what it was asked, and remembers how each WebSocket ended."""

    ended: list[int] = field(default_factory=list)

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[WebSocketRoute("/{path:path}", self.talk)])

    async def talk(self, websocket: WebSocket) -> None:
        if websocket.query_params.get("refuse"):
            refusal = JSONResponse({"code": "not_ready"}, 409, headers={"x-why": "test"})
            await websocket.send_denial_response(refusal)
            return
        offered = websocket.scope["subprotocols"]
        await websocket.accept(offered[-1] if offered else None)
        while (message := await websocket.receive())["type"] == "websocket.receive":
            await self.answer(websocket, message)
        self.ended.append(message["code"])

    async def answer(self, websocket: WebSocket, message: Any) -> None:
        if message.get("bytes") is not None:
            await websocket.send_bytes(message["bytes"])
        elif message["text"] == "leave":
            await websocket.close(4001, "as asked")
        elif message["text"] == "what":
            scope = websocket.scope
            asked = {"path": scope["raw_path"].decode(), "query": scope["query_string"].decode()}
            asked["offered"] = " ".join(scope["subprotocols"])
            await websocket.send_json(asked | {"headers": dict(websocket.headers)})
        elif websocket.client_state is WebSocketState.CONNECTED:
            await websocket.send_text(message["text"])


@dataclass(frozen=True)
class Way:
    url: str
    far: FarEnd

    def client(self, headers: dict[str, str] | None = None) -> httpx2.AsyncClient:
        given = BEARER if headers is None else headers
        return httpx2.AsyncClient(base_url=self.url, headers=given, trust_env=False, timeout=20)


@pytest.fixture
def nowhere(api_server: Path, tmp_path: Path) -> Path:
    """A kubeconfig with which nothing answers, for nothing here asks Kubernetes.

    What the process looks after by itself would be cut off in the middle of TLS when a test is short,
    and httpcore2 does not close a connection that is cancelled there.
    """
    text = api_server.read_text()
    port = text.split("https://127.0.0.1:")[1].split()[0]
    file = tmp_path / "nowhere"
    file.write_text(text.replace(f":{port}", f":{free_port()}"))
    return file


@pytest.fixture
async def way(nowhere: Path) -> AsyncIterator[Way]:
    far = FarEnd()
    async with serving(far.app) as gateway:
        settings = Settings(kubeconfig=nowhere, admin_token=TOKEN, gateway_url=gateway)
        async with serving(build_api(settings)) as url:
            yield Way(url, far)


@pytest.mark.parametrize("path", [RAY, KUBERNETES])
async def test_text_and_bytes_pass_both_ways(way: Way, path: str) -> None:
    much = bytes(range(256)) * 8192
    largest = {"max_message_size_bytes": 2 * len(much)}
    async with way.client() as client, client.websocket(path, **largest) as socket:
        await socket.send_text("grüße")
        assert await socket.receive_text(timeout=10) == "grüße"
        for body in (b"", b"\x00\xff", much):
            await socket.send_bytes(body)
            assert await socket.receive_bytes(timeout=10) == body


async def test_what_is_asked_arrives_as_it_was_sent(way: Way) -> None:
    path = f"{KUBERNETES}?command=a%20b&stdin=true"
    offered = ["v5.channel.k8s.io", "v4.channel.k8s.io"]
    headers = {"authorization": "Bearer of-the-tenant", "x-request-id": "chosen-by-somebody"}
    async with (
        way.client(headers) as client,
        client.websocket(path, subprotocols=offered) as socket,
    ):
        assert socket.subprotocol == "v4.channel.k8s.io"
        await socket.send_text("what")
        asked = await socket.receive_json(timeout=10)
    assert asked["path"] == KUBERNETES
    assert asked["query"] == "command=a%20b&stdin=true"
    assert asked["headers"]["authorization"] == "Bearer of-the-tenant"
    assert asked["offered"].split() == offered
    assert asked["headers"]["host"] == way.url.removeprefix("http://")
    assert asked["headers"]["x-request-id"] != "chosen-by-somebody"


async def test_ends_and_their_codes_pass_both_ways(way: Way) -> None:
    async with way.client() as client:
        async with client.websocket(RAY) as socket:
            await socket.send_text("leave")
            with pytest.raises(WebSocketDisconnect) as left:
                await socket.receive(timeout=10)
            assert (left.value.code, left.value.reason) == (4001, "as asked")
        async with client.websocket(RAY) as socket:
            await socket.send_text("hello")
            assert await socket.receive_text(timeout=10) == "hello"
            await socket.close(3007)
    deadline = time.monotonic() + 10
    while 3007 not in way.far.ended:
        assert time.monotonic() < deadline, way.far.ended
        await asyncio.sleep(0.05)


async def test_nothing_waits_for_more(way: Way) -> None:
    """A hundred turns of one byte take no hundred buffers' time."""
    async with way.client() as client, client.websocket(RAY) as socket:
        async with asyncio.timeout(20):
            for number in range(100):
                await socket.send_text(str(number))
                assert await socket.receive_text() == str(number)


async def refused(way: Way, path: str, headers: dict[str, str]) -> httpx2.Response:
    async with way.client(headers) as client:
        with pytest.raises(WebSocketUpgradeError) as found:
            async with client.websocket(path):
                pytest.fail("it opened")
        answer = found.value.response
        assert isinstance(answer, httpx2.Response)
        return answer


def cookie(**more: str) -> dict[str, str]:
    return {"cookie": f"{COOKIE}={session_value(TOKEN)}"} | more


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (RAY, {}, 401),
        (RAY, {"authorization": "Bearer wrong"}, 401),
        (RAY, cookie(), 403),
        (RAY, cookie(origin="http://elsewhere.test"), 403),
        (RAY, cookie(origin="null"), 403),
        (RAY, {"cookie": f"{COOKIE}=forged", "origin": "http://atoll.test"}, 403),
        (KUBERNETES, {}, 401),
        (KUBERNETES, cookie(), 401),
        ("/v1/teams", BEARER, 403),
    ],
)
async def test_who_may_not_is_refused(
    way: Way, path: str, headers: dict[str, str], status: int
) -> None:
    assert (await refused(way, path, headers)).status_code == status


async def test_the_portals_cookie_counts_from_the_portal(way: Way) -> None:
    async with way.client(cookie(origin=way.url)) as client, client.websocket(RAY) as socket:
        await socket.send_text("mine")
        assert await socket.receive_text(timeout=10) == "mine"


async def test_a_refusal_of_the_gateway_is_handed_on(way: Way) -> None:
    async with way.client() as client:
        upgrade = {
            "connection": "Upgrade", "upgrade": "websocket", "sec-websocket-version": "13",
            "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
        }  # fmt: skip
        answer = await client.get(f"{RAY}?refuse=1", headers=upgrade)
    assert (answer.status_code, answer.json()) == (409, {"code": "not_ready"})
    assert answer.headers["x-why"] == "test"


async def test_a_silent_gateway_is_a_problem(nowhere: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    settings = Settings(kubeconfig=nowhere, admin_token=TOKEN, gateway_url=nobody)
    async with serving(build_api(settings)) as url:
        answer = await refused(Way(url, FarEnd()), RAY, BEARER)
    assert answer.status_code == 503
