"""What can go wrong, as one tree.

    AtollError                  has a code, a status, and says who can fix it
    ├── InvalidError            422  the request or resource makes no sense; names the fields
    ├── UnauthenticatedError    401  no token, or one we do not know
    ├── ForbiddenError          403  a known caller without the right
    ├── NotFoundError           404
    ├── ConflictError           409  the name is taken, the state does not allow it
    │   ├── QuotaExceededError  409  more than the limit; carries the numbers
    │   ├── StaleWriteError     409  somebody else wrote first; read again
    │   └── ConfirmationNeededError 409  a quota would be below what is taken of it; carries the preview
    ├── PreconditionError       412  If-Match names another revision
    ├── PreconditionMissingError 428
    ├── TooLargeError           413  more bytes than are read here; carries limit and size
    ├── UnavailableError        503  a part we need does not answer; try again
    ├── TemporaryError          in a step: will be tried again after `delay`
    └── PermanentError          in a step: trying again is no use until `who` acts

Everything a caller sees is `detail`: what happened, why, and what to do next, in one or two sentences.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Who = Literal["you", "team owner", "admin", "nobody"]


@dataclass(frozen=True)
class FieldProblem:
    """One field that is wrong: JSON pointer, what is wrong, and the limit where there is one."""

    pointer: str
    detail: str
    limit: str | None = None

    @property
    def parts(self) -> list[str]:
        """The names on the pointer's way (RFC 6901), outermost first."""
        return [p.replace("~1", "/").replace("~0", "~") for p in self.pointer.strip("/").split("/")]


class AtollError(Exception):
    """Base of every error we raise on purpose."""

    code = "error"
    status = 500
    title = "Something went wrong"
    who: Who = "admin"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        who: Who | None = None,
        fields: tuple[FieldProblem, ...] = (),
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.who = who or type(self).who
        self.fields = fields
        self.extra = extra or {}

    def problem(self) -> dict[str, Any]:
        """The error as RFC 9457 problem details, without `instance`."""
        body: dict[str, Any] = {
            "type": f"/docs/problems#{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "who_can_fix": self.who,
        }
        if self.fields:
            body["errors"] = [
                {k: v for k, v in asdict(f).items() if v is not None} for f in self.fields
            ]
        return body | self.extra


class InvalidError(AtollError):
    """The request or resource breaks a rule; the fields say which."""

    code, status, title, who = "invalid", 422, "The request is not valid", "you"


class UnauthenticatedError(AtollError):
    """The caller is not known."""

    code, status, title, who = "unauthenticated", 401, "Sign in first", "you"


class ForbiddenError(AtollError):
    """The caller is known and lacks the right."""

    code, status, title, who = "forbidden", 403, "Not allowed", "team owner"


class NotFoundError(AtollError):
    """There is no such object, or the caller may not see it."""

    code, status, title, who = "not_found", 404, "Not found", "you"


class ConflictError(AtollError):
    """The state of things does not allow the change."""

    code, status, title = "conflict", 409, "Conflict"
    who: Who = "you"


class QuotaExceededError(ConflictError):
    """More was asked than the quota leaves."""

    code, title = "quota_exceeded", "The quota does not leave enough"
    who: Who = "admin"


class StaleWriteError(ConflictError):
    """The object was changed by somebody else since it was read."""

    code, title = "stale_write", "Somebody else changed it first"


class ConfirmationNeededError(ConflictError):
    """More would be taken than the new limits allow; whoever wants that confirms the preview."""

    code, title = "confirmation_needed", "The quota would be below what is taken"


class PreconditionError(AtollError):
    """If-Match names another revision than the stored one."""

    code, status, title, who = "precondition_failed", 412, "It has changed since you read it", "you"


class PreconditionMissingError(AtollError):
    """The write needs an If-Match header."""

    code, status, title, who = "precondition_required", 428, "If-Match is missing", "you"


class TooLargeError(AtollError):
    """The body has more bytes than this route reads."""

    code, status, title, who = "too_large", 413, "The request is too large", "you"


class UnavailableError(AtollError):
    """A part we depend on does not answer."""

    code, status, title, who = "unavailable", 503, "Try again in a moment", "nobody"


class TemporaryError(AtollError):
    """A step could not be done now; `delay` is the number of seconds before the next try."""

    code, title, who = "temporary", "Will be tried again", "nobody"

    def __init__(
        self,
        detail: str,
        *,
        reason: str = "Retrying",
        delay: float = 2.0,
        who: Who | None = None,
    ) -> None:
        super().__init__(detail, who=who)
        self.reason = reason
        self.delay = delay


class PermanentError(AtollError):
    """A step cannot be done until `who` changes something; `reason` is one PascalCase word.

    `recheck`: seconds until the next look where nothing tells of the change; None: growing pauses.
    """

    code, title = "permanent", "Needs a change"

    def __init__(self, detail: str, *, reason: str, who: Who, recheck: float | None = None) -> None:
        super().__init__(detail, who=who)
        self.reason = reason
        self.recheck = recheck
