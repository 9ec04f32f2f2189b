"""The one dependency that every route asks: is this caller known, and may they?"""

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from structlog.contextvars import bind_contextvars

from atoll.application.callers import Caller
from atoll.auth.permissions import Permission, is_permitted
from atoll.auth.sessions import COOKIE
from atoll.auth.tokens import caller_of
from atoll.errors import ForbiddenError, UnauthenticatedError
from atoll.settings import Settings, get_settings

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def require(permission: Permission) -> Callable[[HTTPConnection], Awaitable[Caller]]:
    """A dependency that gives the caller, or raises UnauthenticatedError or ForbiddenError.

    The application keeps its Settings in `app.state.settings`. The caller's name is on every further
    line of the request's log.
    """

    # A coroutine: FastAPI runs plain functions in a thread, whose log context ends with them.
    async def asked(connection: HTTPConnection) -> Caller:
        caller = caller_or_none(connection)
        if caller is None:
            raise UnauthenticatedError(
                "This needs a token: send `Authorization: Bearer <token>`, use `atoll login`, or sign "
                "in to the portal"
            )
        bind_contextvars(caller=caller.name)  # before a refusal: that line is wanted most
        if not is_permitted(caller, permission):
            raise ForbiddenError(f"{caller.name!r} lacks the permission {permission!r}")
        return caller

    asked.permission = permission  # type: ignore[attr-defined]  # routes are tested to have one
    return asked


def caller_or_none(connection: HTTPConnection) -> Caller | None:
    """Who calls, or None. A cookie counts on a changing request only when it comes from our pages."""
    settings: Settings = getattr(connection.app.state, "settings", None) or get_settings()
    header = connection.headers.get("authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")
        bearer = token.strip() if scheme.lower() == "bearer" else ""
        return caller_of(settings, bearer=bearer, session=None)
    session = connection.cookies.get(COOKIE)
    if session is None:
        return None
    method = connection.scope.get(
        "method", "GET"
    )  # a WebSocket has none; its origin is checked too
    if method not in _SAFE or connection.scope["type"] == "websocket":
        refuse_other_site(connection)
    return caller_of(settings, bearer=None, session=session)


def refuse_other_site(connection: HTTPConnection) -> None:
    """ForbiddenError (code "cross_site") unless the browser says that our own page sent this.

    Signing in asks it too: another site must not sign somebody in with a token of its own choice.
    """
    if not _from_us(connection):
        raise ForbiddenError(
            "This request came from another site; repeat it from the portal",
            code="cross_site",
            who="you",
        )


def _from_us(connection: HTTPConnection) -> bool:
    """Whether the browser says that the request comes from our own origin."""
    fetch_site = connection.headers.get("sec-fetch-site")
    if fetch_site is not None:
        return fetch_site == "same-origin"
    origin = connection.headers.get("origin")
    return origin is not None and urlsplit(origin).netloc == connection.headers.get("host")
