"""Routes of teams."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from atoll.api.bodies import MergePatch, documented_patch
from atoll.api.parameters import Ask, Cases, Confirm, DryRun, IdempotencyKey, IfMatch, tag
from atoll.api.problems import COMMON, documented, dry_run_answer
from atoll.auth import Caller, require
from atoll.contract.base import Page
from atoll.contract.teams import TeamCreate, TeamRead

router = APIRouter(prefix="/teams", tags=["teams"], responses=COMMON)
Reader = Annotated[Caller, Depends(require("teams:read"))]
Writer = Annotated[Caller, Depends(require("teams:write"))]


@router.get("", response_model_exclude_none=True)
async def list_teams(caller: Reader, cases: Cases, ask: Ask) -> Page[TeamRead]:
    """Teams, by name."""
    return await cases.teams.page(caller, ask)


@router.post(
    "",
    status_code=201,
    response_model_exclude_none=True,
    responses={**documented(400, 409, 413), **dry_run_answer(TeamRead)},
)
async def create_team(
    *,
    caller: Writer,
    cases: Cases,
    wanted: TeamCreate,
    dry: DryRun,
    response: Response,
    key: IdempotencyKey = None,
) -> TeamRead:
    """A new team with its quota."""
    made = await cases.teams.create(caller, wanted, key=key, dry_run=dry)
    response.status_code = 200 if dry else 201
    response.headers["Location"] = f"/v1/teams/{made.name}"
    tag(response, made.revision)
    return made


@router.get("/{team}", response_model_exclude_none=True, responses=documented(404))
async def get_team(caller: Reader, cases: Cases, team: str, response: Response) -> TeamRead:
    """One team: its limits, and what its virtual clusters hold of them."""
    found = await cases.teams.get(caller, team)
    tag(response, found.revision)
    return found


@router.patch(
    "/{team}",
    response_model_exclude_none=True,
    responses=documented(400, 404, 409, 412, 413, 415, 428),
    openapi_extra=documented_patch("TeamSpec"),
)
async def patch_team(
    *,
    caller: Writer,
    cases: Cases,
    team: str,
    expected: IfMatch,
    body: MergePatch,
    dry: DryRun,
    confirm: Confirm,
    response: Response,
) -> TeamRead:
    """Change parts of the spec by a JSON merge patch. A lower limit takes nothing away from anybody, and
    below what is reserved it needs `confirm`.
    """
    found = await cases.teams.patch(
        caller, team, body, expected=expected, dry_run=dry, confirm=confirm
    )
    tag(response, found.revision)
    return found


@router.delete("/{team}", status_code=204, responses=documented(404, 409, 412, 428))
async def delete_team(
    *, caller: Writer, cases: Cases, team: str, expected: IfMatch, dry: DryRun
) -> None:
    """Delete a team that has no virtual clusters."""
    await cases.teams.delete(caller, team, expected=expected, dry_run=dry)
