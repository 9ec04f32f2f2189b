"""Sessions of the portal: a cookie that proves that somebody had the token, and never holds it.

The value is `<unix second of its end>.<HMAC>`; the key is derived from the token, so a new token ends
every session. Nothing is stored.
"""

import hashlib
import hmac
import time

from starlette.responses import Response

COOKIE = "atoll_session"
LIFETIME_SECONDS = 12 * 3600


def session_value(token: str, now: float | None = None) -> str:
    """A new session value, good for 12 hours."""
    end = str(int((time.time() if now is None else now) + LIFETIME_SECONDS))
    return f"{end}.{_seal(end, token)}"


def is_live(value: str, token: str, now: float | None = None) -> bool:
    """Whether the value was made with this token and has not ended."""
    end, _, seal = value.partition(".")
    if not (end.isascii() and end.isdigit() and len(end) < 16):
        return False
    sealed = hmac.compare_digest(seal.encode(), _seal(end, token).encode())
    return sealed and int(end) > (time.time() if now is None else now)


def _seal(end: str, token: str) -> str:
    key = hashlib.sha256(b"atoll session\0" + token.encode()).digest()
    return hmac.new(key, f"admin.{end}".encode(), hashlib.sha256).hexdigest()


def start_session(response: Response, token: str, *, secure: bool) -> None:
    """Set the cookie after the token was checked. `secure`: the portal is reached by https."""
    response.set_cookie(
        COOKIE,
        session_value(token),
        max_age=LIFETIME_SECONDS,
        path="/",
        httponly=True,
        samesite="lax",
        secure=secure,
    )


def end_session(response: Response) -> None:
    """Take the cookie away."""
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="lax")
