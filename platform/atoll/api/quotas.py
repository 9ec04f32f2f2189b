"""Routes of teams' quotas."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Depends, Response

from atoll.api.parameters import Ask, Cases, Confirm, DryRun, IdempotencyKey, IfMatch, tag
from atoll.api.problems import COMMON, documented
from atoll.application.validation import invalid
from atoll.auth import Caller, require
from atoll.contract.base import Page
from atoll.contract.quotas import (
    QuotaPreview,
    QuotaRead,
    QuotaRevert,
    QuotaRevisionRead,
    QuotaWrite,
)
from atoll.errors import FieldProblem, InvalidError
from atoll.resources.meta import Model

router = APIRouter(prefix="/teams/{team}", tags=["quotas"], responses=COMMON)
Reader = Annotated[Caller, Depends(require("quotas:read"))]
Writer = Annotated[Caller, Depends(require("quotas:write"))]


def _in_body(problem: FieldProblem) -> FieldProblem:
    """These bodies are the quota itself, without the team's spec around it."""
    return replace(problem, pointer=problem.pointer.removeprefix("/spec"))


def _of_number(problem: FieldProblem) -> FieldProblem:
    """A revert sends the number of a quota, which has the line that is wrong now."""
    line = problem.pointer.removeprefix("/spec/")
    return replace(problem, pointer="/number", detail=f"{line} of that time {problem.detail}")


@contextmanager
def _pointing(to: Callable[[FieldProblem], FieldProblem]) -> Iterator[None]:
    """Problems of a team's quota point at what was sent here; others (its parent) stay."""
    try:
        yield
    except InvalidError as error:
        fields = tuple(to(f) if f.pointer.startswith("/spec/quota") else f for f in error.fields)
        if fields == error.fields:
            raise
        raise invalid(fields) from error


@dataclass(frozen=True)
class _Writing:
    """What every write of a quota is told."""

    caller: Writer
    cases: Cases
    team: str
    expected: IfMatch
    confirm: Confirm
    dry: DryRun
    response: Response

    async def by(
        self, write: Callable[..., Awaitable[QuotaRead]], wanted: Model, **more: str | None
    ) -> QuotaRead:
        """Write so, and tag the answer."""
        found = await write(
            self.caller, self.team, wanted, expected=self.expected, confirm=self.confirm,
            dry_run=self.dry, **more,
        )  # fmt: skip
        tag(self.response, found.revision)
        return found


Writing = Annotated[_Writing, Depends()]


@router.get("/quota", response_model_exclude_none=True, responses=documented(404, 409))
async def get_quota(caller: Reader, cases: Cases, team: str, response: Response) -> QuotaRead:
    """A team's quota: limits, guarantees, what is reserved and what is free, ancestors counted."""
    found = await cases.quotas.get(caller, team)
    tag(response, found.revision)
    return found


@router.put(
    "/quota",
    response_model_exclude_none=True,
    responses=documented(400, 404, 409, 412, 413, 428),
)
async def put_quota(writing: Writing, wanted: QuotaWrite) -> QuotaRead:
    """Set the whole quota. Limits below what is reserved need `confirm`; what runs stays in any case."""
    with _pointing(_in_body):
        return await writing.by(writing.cases.quotas.put, wanted)


@router.get("/quota/history", response_model_exclude_none=True, responses=documented(404))
async def list_quota_history(
    caller: Reader, cases: Cases, team: str, ask: Ask
) -> Page[QuotaRevisionRead]:
    """What the quota was, who changed it and why, the newest first; changes by kubectl as well."""
    return await cases.quotas.history(caller, team, ask)


@router.post(
    "/quota:preview",
    response_model_exclude_none=True,
    responses=documented(400, 404, 409, 413),
)
async def preview_quota(
    *, caller: Reader, cases: Cases, team: str, wanted: QuotaWrite
) -> QuotaPreview:
    """What this quota would do to whom. Writes nothing; its `confirm` is for a PUT or a revert."""
    with _pointing(_in_body):
        return await cases.quotas.preview(caller, team, wanted)


@router.post(
    "/quota:revert",
    response_model_exclude_none=True,
    responses=documented(400, 404, 409, 412, 413, 428),
)
async def revert_quota(
    writing: Writing, wanted: QuotaRevert, key: IdempotencyKey = None
) -> QuotaRead:
    """Set the quota to what it was at a number of the history; the parent stays."""
    with _pointing(_of_number):
        return await writing.by(writing.cases.quotas.revert, wanted, key=key)
