"""What routes have in common: use cases, paging, revisions, keys, dry runs."""

from typing import Annotated, Literal

from fastapi import Depends, Header, Query, Request, Response

from atoll.application.pages import LIMIT, LIMIT_MOST, PageAsk
from atoll.application.revisions import HEADER, Expected, expected_of
from atoll.application.use_cases import UseCases
from atoll.errors import FieldProblem, PreconditionMissingError


def _use_cases(request: Request) -> UseCases:
    found: UseCases = request.app.state.use_cases
    return found


def _page(
    limit: Annotated[
        int, Query(ge=1, le=LIMIT_MOST, description="Most items in one answer")
    ] = LIMIT,
    cursor: Annotated[
        str | None, Query(max_length=400, description="`next` of the page before")
    ] = None,
) -> PageAsk:
    return PageAsk(limit, cursor)


def _dry_run(
    dry_run: Annotated[
        Literal["server"] | None, Query(description="Check everything and write nothing")
    ] = None,
) -> bool:
    return dry_run is not None


def parse_if_match(header: str | None) -> Expected:
    """The revisions of an If-Match header; None for `*`. PreconditionMissingError without one."""
    if header is None:
        raise PreconditionMissingError(
            'Send `If-Match: "<revision>"` with the ETag of your last GET, or `If-Match: *` to write '
            "whatever is there",
            fields=(FieldProblem(HEADER, "is missing"),),
        )
    return expected_of(header)


def _expected(
    if_match: Annotated[
        str | None,
        Header(description="ETag of the version to be changed, or *. Without it: 428."),
    ] = None,
) -> Expected:
    return parse_if_match(if_match)


def _confirm(
    confirm: Annotated[
        str | None,
        Query(max_length=64, description="`confirm` of the preview whose outcome is accepted"),
    ] = None,
) -> str | None:
    return confirm


def tag(response: Response, revision: str) -> None:
    """Put the ETag of this revision on the answer."""
    if revision:
        response.headers["ETag"] = f'"{revision}"'


KEY_WORDS = "Repeating a request with the same key within 24 hours does it once"
Cases = Annotated[UseCases, Depends(_use_cases)]
Ask = Annotated[PageAsk, Depends(_page)]
DryRun = Annotated[bool, Depends(_dry_run)]
Confirm = Annotated[str | None, Depends(_confirm)]
IfMatch = Annotated[Expected, Depends(_expected)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description=KEY_WORDS,
    ),
]
