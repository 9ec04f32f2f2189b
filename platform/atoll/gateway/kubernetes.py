"""The virtual cluster's Kubernetes API, for kubectl and every other client.

The caller's bearer token is the tenant token of `credentials`. It passes through unchanged and the
API server inside decides; the gateway adds nothing of its own, so nothing can be gained here.
"""

import re
from contextlib import AsyncExitStack

import httpx2
from fastapi import APIRouter, Request, Response, WebSocket
from httpx2.websockets import AsyncWebSocketSession
from starlette.requests import HTTPConnection

from atoll.errors import (
    AtollError,
    ConflictError,
    NotFoundError,
    UnauthenticatedError,
    UnavailableError,
)
from atoll.gateway.access import Access
from atoll.gateway.callers import is_our_token
from atoll.gateway.forward import LONG_SECONDS, ORDINARY_SECONDS, Target, forward
from atoll.gateway.headers import request_headers, response_headers
from atoll.gateway.parts import Parts, parts_of
from atoll.gateway.paths import rest_of
from atoll.gateway.problems import kubernetes_status
from atoll.sockets import SocketProblem, SocketRefusedError, bridge, open_socket
from atoll.telemetry.logs import about

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_ROUTE = "/v1/virtual-clusters/{vc}/kubernetes"
_SOCKETS_ONLY = (
    "Here exec, attach, port-forward and cp go over WebSockets alone. kubectl does so from 1.31 on; "
    "a proxy on the way may be what keeps them from passing."
)
_NEEDS_UPGRADE = "Upgrade request required"
"""What API servers say of a stream that was asked for and allowed, but came without its upgrade."""
_AS_PROTOCOL = "base64url.bearer.authorization.k8s.io."
_INTERACTIVE = re.compile(r"^api/v1/namespaces/[^/]+/pods/[^/]+/(exec|attach|portforward)/?$")
router = APIRouter(tags=["kubernetes"])


class UpgradeError(AtollError):
    """A stream was asked for in a way that does not pass."""

    code, status, title, who = "not_implemented", 501, "Not supported", "you"


@router.api_route(_ROUTE, methods=METHODS, include_in_schema=False)
@router.api_route(_ROUTE + "/{path:path}", methods=METHODS, include_in_schema=False)
async def kubernetes(vc: str, request: Request) -> Response:
    """Reverse proxy; errors of our own have the shape kubectl shows to people."""
    try:
        return await _forward(vc, request, parts_of(request))
    except AtollError as error:
        return kubernetes_status(error)


@router.websocket(_ROUTE + "/{path:path}")
async def kubernetes_socket(vc: str, websocket: WebSocket) -> None:
    """exec, attach, port-forward, and whatever else an API server does over WebSockets."""
    try:
        async with AsyncExitStack() as held:
            session = await _open(vc, websocket, held)
            await bridge(websocket, session)
    except SocketRefusedError as refusal:
        await websocket.send_denial_response(_denial(refusal.answer))
    except AtollError as error:
        await websocket.send_denial_response(kubernetes_status(error))


async def _open(vc: str, websocket: WebSocket, held: AsyncExitStack) -> AsyncWebSocketSession:
    """The same WebSocket at the API server inside, with the caller's token and subprotocols."""
    _check_token(websocket)
    path = rest_of(websocket.scope, _ROUTE.format(vc=vc))
    access, client = await _connect(vc, parts_of(websocket), held)
    headers = request_headers(websocket.scope["headers"])
    # A token may also come as a subprotocol; here it must be in the header, where it was checked.
    offered = [p for p in websocket.scope["subprotocols"] if not p.startswith(_AS_PROTOCOL)]
    try:
        return await open_socket(client, _url(access, path, websocket), headers, held, offered)
    except SocketProblem as error:
        raise UnavailableError(
            f"{_what(vc)} does not answer ({type(error).__name__}). Try again in a moment."
        ) from error


def _denial(answer: httpx2.Response) -> Response:
    kept = [h for h in response_headers(answer.headers.raw) if h[0] == b"content-type"]
    response = Response(answer.content, status_code=answer.status_code)
    response.raw_headers = [*kept, (b"content-length", str(len(answer.content)).encode())]
    return response


async def _forward(vc: str, request: Request, parts: Parts) -> Response:
    _check_token(request)
    path = rest_of(request.scope, _ROUTE.format(vc=vc))
    interactive = _INTERACTIVE.match(path) is not None
    if request.headers.get("upgrade") and not interactive:
        raise UpgradeError(_SOCKETS_ONLY)
    async with AsyncExitStack() as undo:
        access, client = await _connect(vc, parts, undo)
        target = Target(
            url=_url(access, path, request),
            headers=request_headers(request.scope["headers"]),
            what=_what(vc),
            seconds=LONG_SECONDS if _long_running(request) else ORDINARY_SECONDS,
            answer_headers=response_headers,
            # kubectl tries this way when a WebSocket was refused: the API server says again why.
            explain=_without_upgrade if interactive else None,
        )
        return await forward(request, client, target, undo.pop_all())


def _without_upgrade(answer: httpx2.Response) -> UpgradeError | None:
    return UpgradeError(_SOCKETS_ONLY) if _NEEDS_UPGRADE in answer.text else None


def _what(vc: str) -> str:
    return f"The Kubernetes API of virtual cluster {vc!r}"


def _url(access: Access, path: str, connection: HTTPConnection) -> str:
    query = connection.scope["query_string"].decode("latin-1")
    return f"{access.server}/{path}" + (f"?{query}" if query else "")


def _check_token(request: HTTPConnection) -> None:
    """There must be a bearer token, and not one of ours: no tenant's API ever sees those."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token.strip():
        raise UnauthenticatedError(
            "This address needs a bearer token of the virtual cluster. "
            "`atoll kubeconfig get` makes a kubeconfig that has it."
        )
    if is_our_token(request, token.strip()):
        raise UnauthenticatedError(
            "This is a token of Atoll, not of the virtual cluster. Get one with "
            "POST …/credentials or `atoll credential`."
        )


async def _connect(
    vc: str, parts: Parts, held: AsyncExitStack
) -> tuple[Access, httpx2.AsyncClient]:
    try:
        about(team=(await parts.store.virtual_cluster(vc)).spec.team)
        return await held.enter_async_context(parts.tenants.connection(vc))
    except (NotFoundError, ConflictError) as error:
        # Whoever asks is not known to us, so nothing is said of which virtual clusters exist.
        raise UnauthenticatedError(
            f"No virtual cluster {vc[:40]!r} accepts this token now."
        ) from error


def _long_running(request: Request) -> bool:
    query = request.query_params
    asked = any(query.get(name, "") in ("1", "true", "True") for name in ("watch", "follow"))
    return asked or "/proxy/" in request.scope["path"]
