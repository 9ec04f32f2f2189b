"""The limit on bodies: what is refused, with which numbers, and what passes as a stream."""

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Message, Scope

from atoll.body_limit import BODY_BYTES, BodyLimit
from atoll.errors import TooLargeError

PIECE = b"x" * (BODY_BYTES // 2)


async def _count(request: Request) -> Response:
    return JSONResponse({"bytes": len(await request.body())})


def _problem(_: Scope, error: TooLargeError) -> Response:
    return JSONResponse(error.problem(), error.status)


APP = BodyLimit(Starlette(routes=[Route("/{path:path}", _count, methods=["POST"])]), _problem)


async def post(path: str, pieces: int, *, announced: bool = False) -> tuple[int, bytes]:
    """Send that many pieces; status and body of the answer."""
    waiting: list[Message] = [
        {"type": "http.request", "body": PIECE, "more_body": n + 1 < pieces} for n in range(pieces)
    ]
    said: list[Message] = []

    async def receive() -> Message:
        return waiting.pop(0)

    async def send(message: Message) -> None:
        said.append(message)

    length = [(b"content-length", str(pieces * len(PIECE)).encode())] if announced else []
    scope: Scope = {
        "type": "http", "method": "POST", "path": path, "raw_path": path.encode(),
        "query_string": b"", "headers": length,
    }  # fmt: skip
    await APP(scope, receive, send)
    assert len([m for m in said if m["type"] == "http.response.start"]) == 1
    return said[0]["status"], b"".join(m.get("body", b"") for m in said)


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize(
    "path", ["/v1/teams", "/v1/virtual-clusters/a/ray-jobs", "/v1/virtual-clusters/a/credentials",
             "/v1/virtual-clusters/a/ray-clusters", "/v1/virtual-clusters/a/ray-clusters/proxy"],
)  # fmt: skip
async def test_more_than_the_limit_is_refused_with_the_numbers(path: str, announced: bool) -> None:
    status, body = await post(path, 3, announced=announced)
    assert status == 413
    assert f'"limit":{BODY_BYTES}'.encode() in body
    assert f'"size":{3 * len(PIECE)}'.encode() in body


async def test_the_limit_itself_passes() -> None:
    assert await post("/v1/teams", 2) == (200, f'{{"bytes":{BODY_BYTES}}}'.encode())


@pytest.mark.parametrize("inside", ["kubernetes/api/v1/pods", "ray-clusters/main/proxy/api/x"])
async def test_streams_into_virtual_clusters_have_no_limit(inside: str) -> None:
    status, body = await post(f"/v1/virtual-clusters/a/{inside}", 5)
    assert (status, body) == (200, f'{{"bytes":{5 * len(PIECE)}}}'.encode())
