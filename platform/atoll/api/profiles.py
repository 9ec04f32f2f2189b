"""Routes of profiles."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from atoll.api.bodies import MergePatch, documented_patch
from atoll.api.parameters import Ask, Cases, DryRun, IdempotencyKey, IfMatch, tag
from atoll.api.problems import COMMON, documented, dry_run_answer
from atoll.auth import Caller, require
from atoll.contract.base import Page
from atoll.contract.profiles import ProfileCreate, ProfileRead

router = APIRouter(prefix="/profiles", tags=["profiles"], responses=COMMON)
Reader = Annotated[Caller, Depends(require("profiles:read"))]
Writer = Annotated[Caller, Depends(require("profiles:write"))]


@router.get("", response_model_exclude_none=True)
async def list_profiles(caller: Reader, cases: Cases, ask: Ask) -> Page[ProfileRead]:
    """Profiles, by name."""
    return await cases.profiles.page(caller, ask)


@router.post(
    "",
    status_code=201,
    response_model_exclude_none=True,
    responses={**documented(400, 409, 413), **dry_run_answer(ProfileRead)},
)
async def create_profile(
    *,
    caller: Writer,
    cases: Cases,
    wanted: ProfileCreate,
    dry: DryRun,
    response: Response,
    key: IdempotencyKey = None,
) -> ProfileRead:
    """A new profile: a set of versions and defaults."""
    made = await cases.profiles.create(caller, wanted, key=key, dry_run=dry)
    response.status_code = 200 if dry else 201
    response.headers["Location"] = f"/v1/profiles/{made.name}"
    tag(response, made.revision)
    return made


@router.get("/{profile}", response_model_exclude_none=True, responses=documented(404))
async def get_profile(
    caller: Reader, cases: Cases, profile: str, response: Response
) -> ProfileRead:
    """One profile."""
    found = await cases.profiles.get(caller, profile)
    tag(response, found.revision)
    return found


@router.patch(
    "/{profile}",
    response_model_exclude_none=True,
    responses=documented(400, 404, 409, 412, 413, 415, 428),
    openapi_extra=documented_patch("ProfileSpec"),
)
async def patch_profile(
    *,
    caller: Writer,
    cases: Cases,
    profile: str,
    expected: IfMatch,
    body: MergePatch,
    dry: DryRun,
    response: Response,
) -> ProfileRead:
    """Change parts of the spec by a JSON merge patch. Its virtual clusters follow."""
    found = await cases.profiles.patch(caller, profile, body, expected=expected, dry_run=dry)
    tag(response, found.revision)
    return found


@router.delete("/{profile}", status_code=204, responses=documented(404, 409, 412, 428))
async def delete_profile(
    *, caller: Writer, cases: Cases, profile: str, expected: IfMatch, dry: DryRun
) -> None:
    """Delete a profile that no virtual cluster uses."""
    await cases.profiles.delete(caller, profile, expected=expected, dry_run=dry)
