"""One log line and one count per request; bodies and queries are never looked at."""

import time

import structlog
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from atoll.gateway.problems import request_id
from atoll.telemetry.metrics import REQUEST_SECONDS, REQUESTS
from atoll.telemetry.whose import named

_QUIET = frozenset({"/healthz", "/metrics"})
_STREAMED = ("{path:path}", "/logs")
_log = structlog.get_logger("atoll.gateway")


class Observe:
    """ASGI middleware; every line that is logged meanwhile has the request's id and virtual cluster."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on and watch."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(
            request_id=request_id(HTTPConnection(scope)), **named(scope["path"])
        )
        started, status = time.monotonic(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                status = message["status"]
            elif message["type"] == "websocket.accept":
                status = 101
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            _count(scope, status, time.monotonic() - started)


def _count(scope: Scope, status: int, seconds: float) -> None:
    if scope["path"] in _QUIET:
        return
    route = getattr(scope.get("route"), "path", "unknown")
    method = scope.get("method", "WEBSOCKET")
    REQUESTS.labels(method, route, str(status)).inc()
    if not route.endswith(_STREAMED):
        REQUEST_SECONDS.labels(method, route).observe(seconds)
    _log.info("request", method=method, route=route, status=status, seconds=round(seconds, 4))
