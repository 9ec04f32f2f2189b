"""Routes of requests for a larger quota."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from atoll.api.parameters import Ask, Cases, DryRun, IdempotencyKey, IfMatch, tag
from atoll.api.problems import COMMON, documented, dry_run_answer
from atoll.auth import Caller, require
from atoll.contract.base import Page
from atoll.contract.quota_requests import (
    QuotaDecision,
    QuotaRequestCreate,
    QuotaRequestRead,
    RequestState,
)

router = APIRouter(prefix="/quota-requests", tags=["quota requests"], responses=COMMON)
Reader = Annotated[Caller, Depends(require("quota-requests:read"))]
Writer = Annotated[Caller, Depends(require("quota-requests:write"))]
Decider = Annotated[Caller, Depends(require("quota-requests:decide"))]
_DECIDED = documented(400, 404, 409, 412, 413, 428)


@router.get("", response_model_exclude_none=True)
async def list_quota_requests(
    caller: Reader,
    cases: Cases,
    ask: Ask,
    team: Annotated[
        str | None, Query(max_length=253, description="Only those of this team")
    ] = None,
    state: Annotated[RequestState | None, Query(description="Only those in this state")] = None,
) -> Page[QuotaRequestRead]:
    """Requests, by name."""
    return await cases.quota_requests.page(caller, ask, team=team, state=state)


@router.post(
    "",
    status_code=201,
    response_model_exclude_none=True,
    responses={**documented(400, 413), **dry_run_answer(QuotaRequestRead)},
)
async def create_quota_request(
    *,
    caller: Writer,
    cases: Cases,
    wanted: QuotaRequestCreate,
    dry: DryRun,
    response: Response,
    key: IdempotencyKey = None,
) -> QuotaRequestRead:
    """Ask for higher limits for a team."""
    made = await cases.quota_requests.create(caller, wanted, key=key, dry_run=dry)
    response.status_code = 200 if dry else 201
    response.headers["Location"] = f"/v1/quota-requests/{made.name}"
    tag(response, made.revision)
    return made


@router.get("/{quota_request}", response_model_exclude_none=True, responses=documented(404, 409))
async def get_quota_request(
    caller: Reader, cases: Cases, quota_request: str, response: Response
) -> QuotaRequestRead:
    """One request, with the team's limits of now beside what is asked."""
    found = await cases.quota_requests.get(caller, quota_request)
    tag(response, found.revision)
    return found


@dataclass(frozen=True)
class _Deciding:
    """What both decisions are told."""

    caller: Decider
    cases: Cases
    quota_request: str
    expected: IfMatch
    decision: QuotaDecision
    response: Response

    async def by(self, decide: Callable[..., Awaitable[QuotaRequestRead]]) -> QuotaRequestRead:
        """Decide so, and tag the answer."""
        found = await decide(self.caller, self.quota_request, self.decision, expected=self.expected)
        tag(self.response, found.revision)
        return found


Deciding = Annotated[_Deciding, Depends()]


@router.post("/{quota_request}:approve", response_model_exclude_none=True, responses=_DECIDED)
async def approve_quota_request(deciding: Deciding) -> QuotaRequestRead:
    """Approve it, and raise the team's limits at once. Repeating it does nothing more."""
    return await deciding.by(deciding.cases.quota_requests.approve)


@router.post("/{quota_request}:refuse", response_model_exclude_none=True, responses=_DECIDED)
async def refuse_quota_request(deciding: Deciding) -> QuotaRequestRead:
    """Refuse it, with a note for whoever asked."""
    return await deciding.by(deciding.cases.quota_requests.refuse)
