"""The audit trail: one JSON line for each change of a quota or decision about one.

Logger name `audit`, event `quota.changed`, `quota-request.created`, `quota-request.approved` or
`quota-request.refused`. Every line has `who`, `what` (the object), `before`, `after` and `request_id`
(empty for a change that came past the API), beside the keys that every line of the log has.
"""

from typing import Any

import structlog

_log = structlog.get_logger("audit")


def write(
    event: str,
    *,
    who: str,
    what: str,
    before: Any,
    after: Any,
    request_id: str | None = None,
    **more: Any,
) -> None:
    """One line. `what` names the object as `<plural>/<name>`; `before` is None for a new one.

    Without `request_id` it is that of the request that is being served, or empty.
    """
    bound = str(structlog.contextvars.get_contextvars().get("request_id", ""))
    given = bound if request_id is None else request_id
    known = {key: value for key, value in more.items() if value not in (None, "")}
    _log.info(event, who=who, what=what, before=before, after=after, request_id=given, **known)
