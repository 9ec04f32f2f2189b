"""Exit codes, and how an error is told: what happened, why, and the next command.

0    done
1    failed
2    usage: the command or the request makes no sense
4    not logged in
5    not allowed
6    not found
7    conflict: the name is taken, the state does not allow it, or somebody else wrote first
8    timed out while waiting; the work itself goes on
9    the quota does not leave enough
10   a quota would be below what is taken of it, and that was not confirmed (--yes or --confirm)
130  interrupted by Ctrl-C; work that was accepted goes on
"""

import sys
import traceback
from collections.abc import Iterator
from enum import IntEnum

from atoll.cli.paint import paint
from atoll.errors import (
    AtollError,
    ConfirmationNeededError,
    ConflictError,
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


class Exit(IntEnum):
    """Exit codes; a number is never used for something else."""

    OK = 0
    FAILED = 1
    USAGE = 2
    NOT_LOGGED_IN = 4
    NOT_ALLOWED = 5
    NOT_FOUND = 6
    CONFLICT = 7
    TIMED_OUT = 8
    QUOTA = 9
    CONFIRM = 10
    INTERRUPTED = 130


class WaitTimeoutError(AtollError):
    """The time to wait is over; the work itself goes on."""

    code, title, who = "wait_timeout", "Still not finished", "nobody"


class UsageError(InvalidError):
    """The command line makes no sense."""

    code, title = "usage", "The command is not complete"


_CODES: tuple[tuple[type[AtollError], Exit], ...] = (
    (WaitTimeoutError, Exit.TIMED_OUT),
    (InvalidError, Exit.USAGE),
    (UnauthenticatedError, Exit.NOT_LOGGED_IN),
    (ForbiddenError, Exit.NOT_ALLOWED),
    (NotFoundError, Exit.NOT_FOUND),
    (QuotaExceededError, Exit.QUOTA),
    (ConfirmationNeededError, Exit.CONFIRM),
    (ConflictError, Exit.CONFLICT),
    (PreconditionError, Exit.CONFLICT),
    (PreconditionMissingError, Exit.CONFLICT),
)
_NEXT: tuple[tuple[type[AtollError], str], ...] = (
    (UnauthenticatedError, "atoll login URL"),
    (StaleWriteError, "read the object again and repeat the command"),
    (PreconditionError, "read the object again and repeat the command"),
)
_QUIET = frozenset({"instance", "request_id", "next", "title", "preview", "team", "shortages"})
"""Of an error's extras, what the words say already or what is for programs."""


def exit_code(error: AtollError) -> Exit:
    """The exit code of an error."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.FAILED)


def tell(error: AtollError, *, debug: bool = False) -> None:
    """Write an error to stderr."""
    for line in lines(error):
        print(line, file=sys.stderr)
    if debug:
        request = error.extra.get("request_id")
        print(f"debug: code {error.code}, request {request or 'unknown'}", file=sys.stderr)
        traceback.print_exception(error, file=sys.stderr)


def lines(error: AtollError) -> Iterator[str]:
    """An error in words: what, why with the numbers, the next command."""
    # The base class's title says nothing that "error" does not.
    title = "" if error.title == AtollError.title else f"{error.title}."
    # The detail of a wrong request is its first field, which the list below says with its limit.
    detail = "" if error.fields and isinstance(error, InvalidError) else error.detail
    yield " ".join(filter(None, (paint("error:", "red", sys.stderr), title, detail)))
    for field in error.fields:
        limit = f" (limit {field.limit})" if field.limit else ""
        yield f"  {field.pointer}: {field.detail}{limit}"
    for key, value in error.extra.items():
        if key not in _QUIET:
            yield f"  {key}: {_flat(value)}"
    following = _next(error)
    if following:
        yield f"next: {following}"


def _next(error: AtollError) -> str | None:
    if error.extra.get("next"):
        return str(error.extra["next"])
    if isinstance(error, UnavailableError) and error.code == "unreachable":
        return "atoll up starts an API on this machine; --api-url or ATOLL_API_URL names another"
    if isinstance(error, ConfirmationNeededError):
        return _asking(error)
    found = next((text for kind, text in _NEXT if isinstance(error, kind)), None)
    if found is None and error.who in ("team owner", "admin"):
        return f"ask {'an admin' if error.who == 'admin' else 'an owner of the team'}"
    return found


def _asking(error: ConfirmationNeededError) -> str:
    """The command that shows what was not confirmed here, and asks."""
    preview = error.extra.get("preview") or {}
    if name := preview.get("virtualCluster"):
        return f"atoll vc update {name} --quota NAME=AMOUNT, which shows it and asks"
    team = preview.get("team") or "TEAM"
    return f"atoll quota set {team} --limit NAME=AMOUNT, which shows it and asks"


def _flat(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_flat(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return "; ".join(_flat(inner) for inner in value)
    return str(value)
