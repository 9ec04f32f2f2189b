"""Who calls, and what they may do. One door: `require(permission)`.

Today there is one static admin token. Real sign-in (OIDC) changes `atoll.auth.tokens.caller_of` and
nothing else: every route asks through `require`, and every use case takes the `Caller` it gives.
"""

from atoll.application.callers import Caller
from atoll.auth.doors import caller_or_none, refuse_other_site, require
from atoll.auth.permissions import Permission
from atoll.auth.sessions import COOKIE, end_session, start_session

__all__ = [
    "COOKIE",
    "Caller",
    "Permission",
    "caller_or_none",
    "end_session",
    "refuse_other_site",
    "require",
    "start_session",
]
