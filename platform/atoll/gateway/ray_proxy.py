"""The way to a Ray head's dashboard and job API, for browsers and the stock `ray job` commands."""

from contextlib import AsyncExitStack
from urllib.parse import quote, urlsplit

import httpx2
from fastapi import APIRouter, Request, Response, WebSocket
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.websockets import WebSocketState

from atoll.domain.names import RAY_NAMESPACE
from atoll.errors import AtollError
from atoll.gateway.callers import AskedVirtualCluster, UsingRay
from atoll.gateway.forward import LONG_SECONDS, Target, forward
from atoll.gateway.headers import (
    Headers,
    tenant_code_request_headers,
    tenant_code_response_headers,
)
from atoll.gateway.heads import Head
from atoll.gateway.parts import parts_of
from atoll.gateway.paths import rest_of
from atoll.gateway.problems import problem, request_id
from atoll.gateway.ray_api import connect_socket
from atoll.gateway.ray_clusters import find_ray_cluster
from atoll.gateway.ray_states import proxy_path
from atoll.sockets import bridge

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_ROUTE = "/v1/virtual-clusters/{vc}/ray-clusters/{name}/proxy"
router = APIRouter(tags=["ray-clusters"])


@router.get(_ROUTE, include_in_schema=False)
async def ray_proxy_root(asked: UsingRay, name: str) -> Response:
    """The dashboard's links are relative: they need the slash at the end."""
    return RedirectResponse(proxy_path(asked.name, quote(name, safe="")))


@router.api_route(_ROUTE + "/{path:path}", methods=METHODS, include_in_schema=False)
async def ray_proxy(asked: UsingRay, name: str, request: Request) -> Response:
    """Both bodies are streams, so that packages of any size pass."""
    parts, prefix = parts_of(request), _ROUTE.format(vc=asked.name, name=name)
    path = _path(request, prefix)
    await find_ray_cluster(parts, asked, name, RAY_NAMESPACE)
    async with AsyncExitStack() as undo:
        head = await undo.enter_async_context(parts.heads.reach(asked.name, name))
        own = [(k.encode(), v.encode()) for k, v in head.headers.items()]
        target = Target(
            url=head.base + path,
            headers=[*tenant_code_request_headers(request.scope["headers"]), *own],
            what=head.what,
            seconds=LONG_SECONDS,
            answer_headers=lambda found: _answer_headers(found, head, prefix),
            explain=head.refused,
        )
        return await forward(request, head.client, target, undo.pop_all())


@router.websocket(_ROUTE + "/{path:path}")
async def ray_proxy_socket(asked: UsingRay, name: str, websocket: WebSocket) -> None:
    """WebSockets of Ray, such as the live log of a job."""
    try:
        await _bridge(asked, name, websocket)
    except AtollError as error:
        if websocket.client_state is WebSocketState.CONNECTING:
            answer = problem(error, websocket.url.path, request_id(websocket))
            await websocket.send_denial_response(answer)
        else:
            await websocket.close(1011, error.detail[:100])


async def _bridge(asked: AskedVirtualCluster, name: str, websocket: WebSocket) -> None:
    parts = parts_of(websocket)
    path = _path(websocket, _ROUTE.format(vc=asked.name, name=name))
    await find_ray_cluster(parts, asked, name, RAY_NAMESPACE)
    async with AsyncExitStack() as held:
        head = await held.enter_async_context(parts.heads.reach(asked.name, name))
        given = tenant_code_request_headers(websocket.scope["headers"])
        session = await connect_socket(
            head, path, held, headers=given, subprotocols=websocket.scope["subprotocols"]
        )
        await bridge(websocket, session)


def _path(connection: HTTPConnection, prefix: str) -> str:
    query = connection.scope["query_string"].decode("latin-1")
    return f"/{rest_of(connection.scope, prefix)}" + (f"?{query}" if query else "")


def _answer_headers(found: Headers, head: Head, prefix: str) -> Headers:
    """What may come back from tenant code; a redirect of Ray becomes one inside here."""
    kept = tenant_code_response_headers(found)
    moved = next((v for k, v in found if k.lower() == b"location"), None)
    if moved is None:
        return kept
    return [*kept, (b"location", _location(moved.decode("latin-1"), head, prefix).encode())]


def _location(moved: str, head: Head, prefix: str) -> str:
    """A redirect never leads out of the proxied path: Ray's own redirects stay on Ray."""
    base = httpx2.URL(head.base).path.rstrip("/")
    target = urlsplit(moved)
    path = target.path.removeprefix(base) or "/"
    query = f"?{target.query}" if target.query else ""
    if not target.path.startswith("/") and not target.netloc:
        return target.path + query
    return f"{prefix}/{path.lstrip('/')}{query}"
