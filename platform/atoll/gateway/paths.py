"""Which paths may pass: rights are decided on the route, the rest must stay inside it."""

from urllib.parse import unquote_to_bytes

from starlette.types import Scope

from atoll.errors import InvalidError

_DECODINGS = 4
"""How often a path is decoded in search of something hidden; further encoding is refused."""


def rest_of(scope: Scope, prefix: str) -> str:
    """What follows `prefix` in the path, percent-encoded as sent, without a leading slash.

    Starlette routes on the decoded path; upstream must see the original one. InvalidError when the
    two disagree about the prefix, or when the rest could leave it.
    """
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    path = raw.split(b"?", 1)[0]
    head = prefix.encode() + b"/"
    if path == prefix.encode():
        return ""
    if not path.startswith(head):
        raise _refused("it is encoded where it need not be")
    rest = path[len(head) :]
    check_path(rest)
    return rest.decode("ascii")


def check_path(rest: bytes) -> None:
    """InvalidError when a path climbs out, hides a separator or has control characters."""
    if not rest.isascii():
        raise _refused("it has characters that are not percent-encoded")
    for segment in rest.split(b"/"):
        _check_segment(segment)


def _check_segment(segment: bytes) -> None:
    decoded = segment
    for _ in range(_DECODINGS):
        if decoded in (b".", b".."):
            raise _refused("it climbs out with '..' or '.'")
        if any(byte < 0x20 or byte == 0x7F for byte in decoded):
            raise _refused("it has control characters")
        if b"\\" in decoded or b"/" in decoded:
            raise _refused("a part hides a separator")
        following = unquote_to_bytes(decoded)
        if following == decoded:
            return
        decoded = following
    raise _refused("it is encoded too many times")


def _refused(why: str) -> InvalidError:
    return InvalidError(f"This path is not passed on: {why}. Send the plain path.", code="bad_path")
