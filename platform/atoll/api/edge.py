"""The outermost layer of an application: request ids, log context, metrics, headers."""

import re
import time
import uuid
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars, clear_contextvars

from atoll.telemetry.metrics import REQUEST_SECONDS, REQUESTS
from atoll.telemetry.whose import named

_ID = re.compile(r"[A-Za-z0-9_-]{8,64}\Z")
_QUIET = frozenset({"/v1/health", "/metrics"})
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
}

log = structlog.get_logger(__name__)


class Edge:
    """ASGI middleware around everything."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = _Visit(scope, send)
        clear_contextvars()
        with bound_contextvars(request_id=visit.id, **named(scope["path"])):
            try:
                await self._app(scope, receive, visit.send)
            finally:
                visit.count()


class _Visit:
    """One request on its way through."""

    def __init__(self, scope: Scope, send: Send) -> None:
        given = Headers(scope=scope).get("x-request-id", "")
        self.id = given if _ID.match(given) else uuid.uuid4().hex
        self._scope, self._send = scope, send
        self._start = time.perf_counter()
        self._first_byte: float | None = None
        self._status = 0
        scope.setdefault("state", {})["request_id"] = self.id

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._first_byte = time.perf_counter()
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self.id
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
        await self._send(message)

    def count(self) -> None:
        """Metrics and one log line. A stream counts until its first byte."""
        route = route_template(self._scope)
        method, status = self._scope["method"], self._status or 499
        now = time.perf_counter()
        streaming = self._first_byte is not None and now - self._first_byte > 1
        seconds = (self._first_byte if streaming and self._first_byte else now) - self._start
        REQUESTS.labels(_known(method), route, str(status)).inc()
        REQUEST_SECONDS.labels(_known(method), route).observe(seconds)
        if self._scope["path"] not in _QUIET:
            log.info(
                "request", method=method, route=route, status=status, ms=round(seconds * 1000, 1)
            )


def _known(method: str) -> str:
    """One of the methods there are; strangers may invent others without end."""
    methods = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    return method if method in methods else "other"


def route_template(scope: Scope) -> str:
    """The path with its parameters' names, e.g. /v1/teams/{team}; "none" when no route matched."""
    context: Any = scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")
    return str(getattr(context, "path", None) or "none")
