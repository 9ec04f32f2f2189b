"""From a credential to a caller. The place where another way of signing in goes."""

import hashlib
import hmac

from atoll.application.callers import Caller
from atoll.auth.sessions import is_live
from atoll.settings import Settings

ADMIN = Caller("admin", frozenset({"admin"}))


def caller_of(settings: Settings, *, bearer: str | None, session: str | None) -> Caller | None:
    """Who this bearer token or session value belongs to; None when nobody's."""
    token = settings.admin_token_value()
    if not token:
        return None
    if bearer is not None:
        return ADMIN if is_same(bearer, token) else None
    if session is not None and is_live(session, token):
        return ADMIN
    return None


def is_same(given: str, wanted: str) -> bool:
    """Equality in a time that depends on neither text, nor on their lengths."""
    return hmac.compare_digest(
        hashlib.sha256(given.encode()).digest(), hashlib.sha256(wanted.encode()).digest()
    )
