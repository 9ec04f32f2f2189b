"""Ray's job HTTP API of one head: short JSON calls, and the live tail of a job's log."""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import httpx2
from httpx2.websockets import (
    AsyncWebSocketSession,
    HTTPXWSException,
    WebSocketDisconnect,
)

from atoll.domain.names import RAY_NAMESPACE
from atoll.errors import (
    AtollError,
    ConflictError,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from atoll.gateway.headers import Headers
from atoll.gateway.heads import Head, Heads
from atoll.sockets import SocketProblem, SocketRefusedError, open_socket

_SHORT = httpx2.Timeout(15.0, connect=3.0)
_WORDS = 500
_RAISED = re.compile(r"^[A-Za-z_][\w.]*(?:Error|Exception|Exit|Interrupt)\S*: (.+)")
_NORMAL_CLOSE = (1000, 1001)


@dataclass(frozen=True)
class HeadName:
    """Which head."""

    virtual_cluster: str
    cluster: str
    namespace: str = RAY_NAMESPACE


class RayApi:
    """Ray's HTTP API, head by head. Refusals become our errors in Ray's words."""

    def __init__(self, heads: Heads) -> None:
        self._heads = heads

    async def call(self, name: HeadName, method: str, path: str, *, body: Any = None) -> Any:
        """One short call; `path` starts with a slash and its parts are quoted already."""
        async with self._heads.reach(name.virtual_cluster, name.cluster, name.namespace) as head:
            try:
                answer = await head.client.request(
                    method, head.base + path, json=body, headers=head.headers, timeout=_SHORT
                )
            except httpx2.HTTPError as error:
                raise _silent(head, error) from error
        if answer.is_error:
            raise head.refused(answer) or ray_error(head, answer)
        return answer.json() if answer.content else None

    async def tail(self, name: HeadName, path: str) -> AsyncIterator[str]:
        """A log, piece by piece, until Ray ends it. Iterate and close it in one task."""
        async with AsyncExitStack() as held:
            head = await held.enter_async_context(
                self._heads.reach(name.virtual_cluster, name.cluster, name.namespace)
            )
            session = await connect_socket(head, path, held)
            try:
                while True:
                    yield await session.receive_text()
            except WebSocketDisconnect as end:
                if end.code not in _NORMAL_CLOSE:
                    raise UnavailableError(f"{head.what} broke the log off ({end.code}).") from end
            except HTTPXWSException as error:
                raise _silent(head, error) from error


async def connect_socket(
    head: Head,
    path: str,
    held: AsyncExitStack,
    *,
    headers: Headers | None = None,
    subprotocols: list[str] | None = None,
) -> AsyncWebSocketSession:
    """A WebSocket to Ray, open until `held` is closed; refusals become our errors."""
    own = [(name.encode(), value.encode()) for name, value in head.headers.items()]
    try:
        return await open_socket(
            head.client, head.base + path, [*(headers or []), *own], held, subprotocols or []
        )
    except SocketRefusedError as refusal:
        raise head.refused(refusal.answer) or ray_error(head, refusal.answer) from None
    except SocketProblem as error:
        raise _silent(head, error) from error


def ray_error(head: Head, answer: httpx2.Response) -> AtollError:
    """Our error for a refusal of Ray; `answer` has been read. Ray's words are its last line."""
    words = words_of(answer.text) or f"HTTP {answer.status_code}"
    text = f"Ray cluster {head.cluster!r}: {words}"
    if "already exists" in words:
        return ConflictError(text, code="exists")
    if answer.status_code == 404:
        return NotFoundError(text)
    if answer.status_code == 400:
        return InvalidError(text)
    return UnavailableError(text, code="ray_error")


def words_of(text: str) -> str:
    """What a person needs of Ray's answer: of a traceback the last error, without its class.

    Ray's head wraps what its agents say, so one traceback may end with another and a full stop.
    """
    lines = [line.strip() for line in text.strip().splitlines() if line.strip(" .\t")]
    if not lines:
        return ""
    if not lines[0].startswith("Traceback"):
        return " ".join(lines)[:_WORDS]
    errors = [found[1] for line in lines if (found := _RAISED.match(line))]
    return (errors or lines)[-1][:_WORDS]


def _silent(head: Head, error: Exception) -> UnavailableError:
    return UnavailableError(
        f"{head.what} does not answer ({type(error).__name__}). It may be starting or restarting; "
        "try again in a moment."
    )
