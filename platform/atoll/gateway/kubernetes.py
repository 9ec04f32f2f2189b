"""The virtual cluster's Kubernetes API, for kubectl and every other client.

The caller's bearer token is the tenant token of `credentials`. It passes through unchanged and the
API server inside decides; the gateway adds nothing of its own, so nothing can be gained here.
"""

import re
from contextlib import AsyncExitStack

import httpx2
from fastapi import APIRouter, Request, Response, WebSocket

from atoll.errors import AtollError, ConflictError, NotFoundError, UnauthenticatedError
from atoll.gateway.access import Access
from atoll.gateway.callers import is_our_token
from atoll.gateway.forward import LONG_SECONDS, ORDINARY_SECONDS, Target, forward
from atoll.gateway.headers import request_headers, response_headers
from atoll.gateway.parts import Parts, parts_of
from atoll.gateway.paths import rest_of
from atoll.gateway.problems import kubernetes_status

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_ROUTE = "/v1/virtual-clusters/{vc}/kubernetes"
_LATER = (
    "Interactive streams (exec, attach, port-forward, cp) do not pass through this address yet. "
    "Use logs, or `atoll` and the Ray dashboard through the portal."
)
_INTERACTIVE = re.compile(r"^api/v1/namespaces/[^/]+/pods/[^/]+/(exec|attach|portforward)/?$")
router = APIRouter(tags=["kubernetes"])


class UpgradeError(AtollError):
    """A protocol upgrade was asked for that does not pass yet."""

    code, status, title, who = "not_implemented", 501, "Not supported yet", "nobody"


@router.api_route(_ROUTE, methods=METHODS, include_in_schema=False)
@router.api_route(_ROUTE + "/{path:path}", methods=METHODS, include_in_schema=False)
async def kubernetes(vc: str, request: Request) -> Response:
    """Reverse proxy; errors of our own have the shape kubectl shows to people."""
    try:
        return await _forward(vc, request, parts_of(request))
    except AtollError as error:
        return kubernetes_status(error)


@router.websocket(_ROUTE + "/{path:path}")
async def kubernetes_socket(websocket: WebSocket) -> None:
    """WebSocket upgrades are refused in words rather than by a closed connection."""
    await websocket.send_denial_response(kubernetes_status(UpgradeError(_LATER)))


async def _forward(vc: str, request: Request, parts: Parts) -> Response:
    _check_token(request)
    path = rest_of(request.scope, _ROUTE.format(vc=vc))
    # The path counts as well: a proxy on the way may have taken the Upgrade header away.
    if request.headers.get("upgrade") or _INTERACTIVE.match(path):
        raise UpgradeError(_LATER)
    async with AsyncExitStack() as undo:
        access, client = await _connect(vc, parts, undo)
        query = request.scope["query_string"].decode("latin-1")
        target = Target(
            url=f"{access.server}/{path}" + (f"?{query}" if query else ""),
            headers=request_headers(request.scope["headers"]),
            what=f"The Kubernetes API of virtual cluster {vc!r}",
            seconds=LONG_SECONDS if _long_running(request) else ORDINARY_SECONDS,
            answer_headers=response_headers,
        )
        return await forward(request, client, target, undo.pop_all())


def _check_token(request: Request) -> None:
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
