"""Query parameters that several routes share."""

from typing import Annotated, Literal

from fastapi import Depends, Header, Query
from pydantic import BaseModel, Field

from atoll.application.pages import LIMIT, LIMIT_MOST, PageAsk
from atoll.application.revisions import Expected, expected_of
from atoll.domain.names import RAY_NAMESPACE


def _page(
    limit: Annotated[int, Query(ge=1, le=LIMIT_MOST)] = LIMIT, cursor: str | None = None
) -> PageAsk:
    return PageAsk(limit, cursor)


Ask = Annotated[PageAsk, Depends(_page)]
DryRun = Annotated[
    Literal["server"] | None, Query(description="Validate and answer, write nothing")
]
Namespace = Annotated[
    str, Query(pattern=r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", description="Namespace inside")
]

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Repeating a request with the same key within 24 hours does it once",
    ),
]


def _expected(
    if_match: Annotated[
        str | None, Header(description="ETag of the version that is meant. Without it: any")
    ] = None,
) -> Expected:
    return None if if_match is None else expected_of(if_match)


IfMatch = Annotated[Expected, Depends(_expected)]


class LogQuery(BaseModel):
    """Which log of a Ray cluster, and how much of it."""

    pod: str = Field("head", description="`head`, or the name of a pod of the Ray cluster")
    follow: bool = False
    tail: int | None = Field(None, ge=0, le=100_000, description="Last lines only")
    namespace: Namespace = RAY_NAMESPACE
