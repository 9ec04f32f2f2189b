"""WebSockets into virtual clusters, passed on to the gateway as `atoll.api.forward` does requests."""

import time
import uuid
from contextlib import AsyncExitStack

import httpx2
import structlog
from fastapi import APIRouter, Depends, WebSocket
from starlette.responses import Response
from structlog.contextvars import bound_contextvars

from atoll.api.forward import end_to_end
from atoll.api.problems import answer
from atoll.auth import require
from atoll.errors import AtollError, UnauthenticatedError, UnavailableError
from atoll.sockets import SocketProblem, SocketRefusedError, bridge, open_socket
from atoll.telemetry.metrics import REQUESTS
from atoll.telemetry.whose import named

_ROOT = "/v1/virtual-clusters/{virtual_cluster}"
_RAY = f"{_ROOT}/ray-clusters/{{name}}/proxy/{{path:path}}"
_KUBERNETES = f"{_ROOT}/kubernetes/{{path:path}}"
_SET_HERE = frozenset((b"x-request-id",))
_BY_SERVER = frozenset((b"date", b"server"))
router = APIRouter()
log = structlog.get_logger(__name__)


@router.websocket(_RAY, dependencies=[Depends(require("ray:read"))])
async def ray(websocket: WebSocket) -> None:
    """WebSockets of a Ray head, such as the log that `ray job submit` follows.

    A browser's cookie counts only when its Origin is ours (`atoll.auth.doors`).
    """
    await _visit(websocket, _RAY)


@router.websocket(_KUBERNETES)
async def kubernetes(websocket: WebSocket) -> None:
    """exec, attach and port-forward. The token is known to the virtual cluster's API server only."""
    await _visit(websocket, _KUBERNETES, need_token=True)


async def _visit(websocket: WebSocket, route: str, *, need_token: bool = False) -> None:
    """Pass on and count; errors of ours become the answer instead of a WebSocket."""
    began, status = time.monotonic(), 101
    websocket.state.request_id = uuid.uuid4().hex
    path = websocket.scope["path"]
    with bound_contextvars(request_id=websocket.state.request_id, **named(path)):
        try:
            if need_token and not websocket.headers.get("authorization"):
                raise UnauthenticatedError("This needs a token of the virtual cluster")
            await _forward(websocket)
        except SocketRefusedError as refusal:
            status = refusal.answer.status_code
            await websocket.send_denial_response(_relayed(refusal.answer))
        except AtollError as error:
            status = error.status
            await websocket.send_denial_response(answer(websocket, error))
        finally:
            REQUESTS.labels("WEBSOCKET", route, str(status)).inc()
            seconds = round(time.monotonic() - began, 1)
            log.info("websocket", route=route, status=status, seconds=seconds)


async def _forward(websocket: WebSocket) -> None:
    client: httpx2.AsyncClient = websocket.app.state.gateway
    scope = websocket.scope
    target = scope.get("raw_path") or scope["path"].encode()
    if scope["query_string"]:
        target += b"?" + scope["query_string"]
    url = httpx2.URL(str(client.base_url)).copy_with(raw_path=target)
    headers = end_to_end(scope["headers"], _SET_HERE)
    headers.append((b"x-request-id", websocket.state.request_id.encode()))
    async with AsyncExitStack() as held:
        try:
            session = await open_socket(client, url, headers, held, scope["subprotocols"])
        except SocketProblem as error:
            raise UnavailableError(
                "The gateway into virtual clusters does not answer; try again in a moment",
                code="gateway_unavailable",
            ) from error
        await bridge(websocket, session)


def _relayed(refusal: httpx2.Response) -> Response:
    """The gateway's refusal, word for word. (It has been read, so its length is known anew.)"""
    without = _BY_SERVER | _SET_HERE | {b"content-length", b"content-encoding"}
    response = Response(refusal.content, refusal.status_code)
    response.raw_headers = [
        *end_to_end(refusal.headers.raw, without),
        (b"content-length", str(len(refusal.content)).encode()),
    ]
    return response
