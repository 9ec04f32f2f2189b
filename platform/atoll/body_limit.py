"""How large a body may be: an ASGI layer of the API and of the gateway."""

import re
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from atoll.errors import TooLargeError

BODY_BYTES = 1024 * 1024
"""Largest body that is read as a whole, in bytes."""
_STREAMED = re.compile(r"^/v1/virtual-clusters/[^/]+/(kubernetes|ray-clusters/[^/]+/proxy)(/|$)")
"""What passes through piece by piece into a virtual cluster is not limited here."""

Answer = Callable[[Scope, TooLargeError], Response]


class BodyLimit:
    """Answers 413 to larger bodies. `answer` makes the problem in the words of its process."""

    def __init__(self, app: ASGIApp, answer: Answer) -> None:
        self._app, self._answer = app, answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or _STREAMED.match(scope["path"]):
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "")
        if announced.isascii() and announced.isdigit() and int(announced) > BODY_BYTES:
            await self._refuse(int(announced), scope, receive, send)
            return
        reading = _Reading(receive, send)
        try:
            await self._app(scope, reading.receive, reading.send)
        except ClientDisconnect:
            if reading.excess is None:
                raise
        if reading.excess is not None and not reading.answered:
            await self._refuse(reading.excess, scope, receive, send)

    async def _refuse(self, size: int, scope: Scope, receive: Receive, send: Send) -> None:
        answer = self._answer(scope, _too_large(size))
        answer.headers["connection"] = "close"  # what was not read of the body must not be parsed
        await answer(scope, receive, send)


class _Reading:
    """One body on its way in. `excess` is its size once that is known to be too large."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._bytes = 0
        self.excess: int | None = None
        self.answered = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._bytes += len(message.get("body", b""))
            if self._bytes > BODY_BYTES:
                # What is inside sees a client that left, and whatever it answers is replaced.
                self.excess = self._bytes
                return {"type": "http.disconnect"}
        return message

    async def send(self, message: Message) -> None:
        if self.excess is not None and not self.answered:
            return
        self.answered = True
        await self._send(message)


def _too_large(size: int) -> TooLargeError:
    return TooLargeError(
        f"The body has {size} bytes or more, and at most {BODY_BYTES} are taken here. Send less; large "
        "files go to a Ray cluster as a package, through its proxy path.",
        extra={"limit": BODY_BYTES, "size": size},
    )
