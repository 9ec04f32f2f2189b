"""WebSockets that pass through: opened to where they lead, then message by message both ways."""

import asyncio
import base64
import secrets
from collections.abc import Iterable, Sequence
from contextlib import AsyncExitStack, suppress

import anyio
import httpx2
from httpx2.websockets import AsyncWebSocketSession, HTTPXWSException, WebSocketDisconnect
from starlette.websockets import WebSocket, WebSocketState
from starlette.websockets import WebSocketDisconnect as CallerLeft
from wsproto.events import BytesMessage, TextMessage

MESSAGE_BYTES = 8 * 1024 * 1024
"""Longest message; kubectl and Ray send at most some 32 KiB in one."""
_OPEN_SECONDS = 15.0
_OWN = b"sec-websocket-"

Headers = Iterable[tuple[bytes, bytes]]
SocketProblem = (httpx2.HTTPError, HTTPXWSException, TimeoutError)
"""What `open_socket` raises when nobody answers."""


class SocketRefusedError(Exception):
    """The other end answered, and not with a WebSocket. `answer` has been read."""

    def __init__(self, answer: httpx2.Response) -> None:
        super().__init__(f"HTTP {answer.status_code}")
        self.answer = answer


async def open_socket(
    client: httpx2.AsyncClient,
    url: httpx2.URL | str,
    headers: Headers,
    held: AsyncExitStack,
    subprotocols: Sequence[str] = (),
) -> AsyncWebSocketSession:
    """A WebSocket that is open until `held` is closed. SocketRefusedError, or a SocketProblem."""
    asked = [
        *((name, value) for name, value in headers if not name.lower().startswith(_OWN)),
        (b"connection", b"upgrade"),
        (b"upgrade", b"websocket"),
        (b"sec-websocket-key", base64.b64encode(secrets.token_bytes(16))),
        (b"sec-websocket-version", b"13"),
    ]
    if subprotocols:
        asked.append((b"sec-websocket-protocol", ", ".join(subprotocols).encode()))
    async with asyncio.timeout(_OPEN_SECONDS):
        # Not the client's own `websocket`: that one closes a refusal before its words can be read.
        answer = await held.enter_async_context(client.stream("GET", url, headers=asked))
        if answer.status_code != 101:
            await answer.aread()
            raise SocketRefusedError(answer)
    session: AsyncWebSocketSession = AsyncWebSocketSession(
        answer.extensions["network_stream"],
        max_message_size_bytes=MESSAGE_BYTES,
        # Nobody here may end a silent stream: Ray's log tail never gets to answering a ping.
        keepalive_ping_interval_seconds=None,
        response=answer,
    )
    return await held.enter_async_context(session)


async def bridge(websocket: WebSocket, session: AsyncWebSocketSession) -> None:
    """Accept the caller's WebSocket as `session` was accepted; pass messages until a side ends it.

    The next message of a side is read when the other side has taken the one before.
    """
    await websocket.accept(session.subprotocol)
    async with anyio.create_task_group() as both:
        both.start_soon(_up, websocket, session, both.cancel_scope)
        await _down(websocket, session)
        both.cancel_scope.cancel()


async def _up(
    websocket: WebSocket, session: AsyncWebSocketSession, scope: anyio.CancelScope
) -> None:
    """From the caller, until the caller leaves."""
    try:
        while (message := await websocket.receive())["type"] == "websocket.receive":
            if message.get("text") is not None:
                await session.send_text(message["text"])
            else:
                await session.send_bytes(message["bytes"])
    except HTTPXWSException:
        return  # `_down` sees that end too, and tells the caller.
    code = message.get("code") or 1000
    await session.close(_sendable(code), message.get("reason") or None)
    scope.cancel()


async def _down(websocket: WebSocket, session: AsyncWebSocketSession) -> None:
    """To the caller, until the other end closes; the caller gets its close code."""
    try:
        while True:
            event = await session.receive()
            if isinstance(event, TextMessage):
                await websocket.send_text(event.data)
            elif isinstance(event, BytesMessage):
                await websocket.send_bytes(bytes(event.data))
    except WebSocketDisconnect as end:
        await _close(websocket, _sendable(end.code), end.reason)
    except HTTPXWSException:
        await _close(websocket, 1011, "the way behind broke")
    except CallerLeft:
        return


async def _close(websocket: WebSocket, code: int, reason: str | None) -> None:
    if websocket.client_state is WebSocketState.CONNECTED:
        with suppress(CallerLeft):
            await websocket.close(code, reason)


def _sendable(code: int) -> int:
    """1005 and 1006 only describe an end, they must not be sent."""
    return {1005: 1000, 1006: 1011}.get(code, code)
