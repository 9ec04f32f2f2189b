"""Routes of teams' quotas."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from atoll.api.parameters import Ask, Cases, Confirm, DryRun, IdempotencyKey, IfMatch, tag
from atoll.api.problems import COMMON, documented
from atoll.auth import Caller, require
from atoll.contract.base import Page
from atoll.contract.quotas import (
    QuotaPreview,
    QuotaRead,
    QuotaRevert,
    QuotaRevisionRead,
    QuotaWrite,
)

router = APIRouter(prefix="/teams/{team}", tags=["quotas"], responses=COMMON)
Reader = Annotated[Caller, Depends(require("quotas:read"))]
Writer = Annotated[Caller, Depends(require("quotas:write"))]


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
async def put_quota(
    *,
    caller: Writer,
    cases: Cases,
    team: str,
    wanted: QuotaWrite,
    expected: IfMatch,
    confirm: Confirm,
    dry: DryRun,
    response: Response,
) -> QuotaRead:
    """Set the whole quota. Limits below what is reserved need `confirm`; what runs stays in any case."""
    found = await cases.quotas.put(
        caller, team, wanted, expected=expected, confirm=confirm, dry_run=dry
    )
    tag(response, found.revision)
    return found


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
    return await cases.quotas.preview(caller, team, wanted)


@router.post(
    "/quota:revert",
    response_model_exclude_none=True,
    responses=documented(400, 404, 409, 412, 413, 428),
)
async def revert_quota(
    *,
    caller: Writer,
    cases: Cases,
    team: str,
    wanted: QuotaRevert,
    expected: IfMatch,
    confirm: Confirm,
    dry: DryRun,
    response: Response,
    key: IdempotencyKey = None,
) -> QuotaRead:
    """Set the quota to what it was at a number of the history; the parent stays."""
    found = await cases.quotas.revert(
        caller, team, wanted, expected=expected, confirm=confirm, key=key, dry_run=dry
    )
    tag(response, found.revision)
    return found
