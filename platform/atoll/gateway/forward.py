"""Passing one request on and its answer back, both as streams."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import anyio
import httpx2
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from atoll.errors import UnavailableError
from atoll.gateway.headers import Headers

ORDINARY_SECONDS = 70.0
"""Longest wait for the first byte: Kubernetes itself gives up on an ordinary request after 60 s."""
LONG_SECONDS = 3600.0
"""The same for requests that may be silent at first: watches, followed logs, uploads to Ray."""


@dataclass(frozen=True)
class Target:
    """Where a request goes, and what is done with its answer.

    `seconds` is how long it may be silent, `what` names it in errors. `explain` may turn a refusal
    into one of our errors; it sees only answers that are refusals, read whole.
    """

    url: str
    headers: Headers
    what: str
    seconds: float
    answer_headers: Callable[[Headers], Headers]
    explain: Callable[[httpx2.Response], Exception | None] | None = None


class Relay(StreamingResponse):
    """An answer on its way back; whatever happens, the connection behind it is given back."""

    def __init__(self, answer: httpx2.Response, headers: Headers, held: AsyncExitStack) -> None:
        super().__init__(answer.aiter_raw(), status_code=answer.status_code)
        self.raw_headers = headers
        self._held = held

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Stream until the end, or until either side goes away."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            with anyio.CancelScope(shield=True):
                await self._held.aclose()


async def forward(
    request: Request, client: httpx2.AsyncClient, target: Target, held: AsyncExitStack
) -> Response:
    """Send the request to its target and relay the answer.

    `held` is closed when the answer has been relayed, or before an error is raised:
    UnavailableError when nothing answers in time.
    """
    async with AsyncExitStack() as undo:
        undo.push_async_callback(held.aclose)
        answer = await _send(request, client, target)
        held.push_async_callback(answer.aclose)
        if answer.is_error and target.explain:
            return await _refusal(answer, target)
        undo.pop_all()
    return Relay(answer, target.answer_headers(list(answer.headers.raw)), held)


async def _refusal(answer: httpx2.Response, target: Target) -> Response:
    """A refusal is short: read it, explain it, or hand it on as it is."""
    try:
        await answer.aread()
    except httpx2.HTTPError as error:
        raise UnavailableError(f"{target.what} broke off ({type(error).__name__}).") from error
    explained = target.explain(answer) if target.explain else None
    if explained:
        raise explained
    response = Response(answer.content, status_code=answer.status_code)
    length = str(len(answer.content)).encode()
    changed = (b"content-length", b"content-encoding")
    kept = [h for h in target.answer_headers(list(answer.headers.raw)) if h[0] not in changed]
    response.raw_headers = [*kept, (b"content-length", length)]
    return response


async def _send(request: Request, client: httpx2.AsyncClient, target: Target) -> httpx2.Response:
    outgoing = httpx2.Request(
        request.method,
        target.url,
        headers=target.headers,
        content=_body(request),
        # A request made by hand does not get the client's time limits by itself.
        extensions={"timeout": client.timeout.as_dict()},
    )
    try:
        async with asyncio.timeout(target.seconds):
            return await client.send(outgoing, stream=True)
    except TimeoutError:
        raise UnavailableError(
            f"{target.what} did not answer within {target.seconds:.0f} seconds."
        ) from None
    except ClientDisconnect:
        raise UnavailableError("The caller left before the request was complete.") from None
    except httpx2.HTTPError as error:
        raise UnavailableError(
            f"{target.what} does not answer ({type(error).__name__}). Try again in a moment."
        ) from error


def _body(request: Request) -> AsyncIterator[bytes] | None:
    length = request.headers.get("content-length")
    if request.headers.get("transfer-encoding") or (length and length != "0"):
        return request.stream()
    return None
