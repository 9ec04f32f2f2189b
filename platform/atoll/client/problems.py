"""Problem details of the API back into the errors of `atoll.errors`, with their numbers."""

import json
from typing import Any

import httpx2

from atoll.errors import (
    AtollError,
    ConfirmationNeededError,
    ConflictError,
    FieldProblem,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    PreconditionError,
    PreconditionMissingError,
    QuotaExceededError,
    StaleWriteError,
    UnauthenticatedError,
    UnavailableError,
)

_BY_CODE: dict[str, type[AtollError]] = {
    kind.code: kind for kind in (QuotaExceededError, StaleWriteError, ConfirmationNeededError)
}
_BY_STATUS: dict[int, type[AtollError]] = {
    400: InvalidError,
    401: UnauthenticatedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    412: PreconditionError,
    422: InvalidError,
    428: PreconditionMissingError,
    502: UnavailableError,
    503: UnavailableError,
    504: UnavailableError,
}
_KNOWN = frozenset({"type", "title", "status", "detail", "code", "who_can_fix", "errors"})


def error_of(status: int, content: bytes, what: str) -> AtollError:
    """The error that an answer stands for; `what` is the request, for answers that say nothing."""
    body = _object(content)
    code = str(body.get("code") or "")
    kind = _BY_CODE.get(code) or _BY_STATUS.get(status, AtollError)
    detail = str(body.get("detail") or "") or _plain(status, content, what)
    fields = tuple(
        FieldProblem(str(f.get("pointer", "")), str(f.get("detail", "")), f.get("limit"))
        for f in body.get("errors") or ()
        if isinstance(f, dict)
    )
    extra = {key: value for key, value in body.items() if key not in _KNOWN and value is not None}
    return kind(
        detail, code=code or None, who=body.get("who_can_fix"), fields=fields, extra=extra
    )  # fmt: skip


def unreachable(error: httpx2.HTTPError | OSError, url: str) -> UnavailableError:
    """The error for an API that did not answer at all."""
    if isinstance(error, httpx2.TimeoutException):
        return UnavailableError(f"{url} did not answer in time.", code="timeout")
    return UnavailableError(
        f"{url} cannot be reached ({str(error) or type(error).__name__}).", code="unreachable"
    )


def _object(content: bytes) -> dict[str, Any]:
    try:
        body = json.loads(content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _plain(status: int, content: bytes, what: str) -> str:
    text = content.decode(errors="replace").strip()
    told = f": {text[:300]}" if text and not text.startswith("<") else ""
    return f"{what} was answered with status {status}{told}"
