"""The page that changes a team's quota: what it would do, and the write once it is confirmed."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response

from atoll.application.validation import parse
from atoll.contract.quotas import QuotaPreview, QuotaRead, QuotaWrite
from atoll.errors import AtollError, ConfirmationNeededError, PreconditionError
from atoll.portal.forms import Form
from atoll.portal.problems import ProblemView, problem_view
from atoll.portal.quota_forms import (
    place_in_quota_form,
    quota_body,
    quota_differences,
    quota_inputs,
    quota_values,
    team_preview_view,
)
from atoll.portal.visits import PortalRoute, Visit, go, typed, visiting

router = APIRouter(include_in_schema=False, route_class=PortalRoute)
QuotaVisit = Annotated[Visit, visiting("quotas:write")]


@router.get("/teams/{name}/quota/edit")
async def quota_edit_page(name: str, visit: QuotaVisit) -> Response:
    """The form with the quota as it is."""
    quota = await visit.use_cases.quotas.get(visit.caller, name)
    return _page(visit, quota, Form(quota_values(quota.quota)))


@router.post("/teams/{name}/quota/edit")
async def edit_quota(name: str, request: Request, visit: QuotaVisit) -> Response:
    """Set the whole quota, or show what that would do; what puts the team over it is asked about."""
    values = await typed(request)
    cases = visit.use_cases.quotas
    quota = await cases.get(visit.caller, name)
    try:
        wanted = parse(QuotaWrite, quota_body(values))
        if values.get("do") == "preview":
            seen = await cases.preview(visit.caller, name, wanted)
            return _page(visit, quota, _form(values), preview=seen)
        await cases.put(
            visit.caller, name, wanted,
            expected=frozenset({values.get("seen", "")}), confirm=values.get("confirm") or None,
        )  # fmt: skip
    except ConfirmationNeededError as error:
        seen = QuotaPreview.model_validate(error.extra["preview"])
        return _page(visit, quota, _form(values), preview=seen, status=error.status)
    except AtollError as error:
        problem = _problem(error, values)
        overtaken = isinstance(error, PreconditionError)
        return _page(
            visit, quota, Form(values, problem.wrong), problem=problem, status=error.status,
            differs=quota_differences(quota, values) if overtaken else [],
        )  # fmt: skip
    return go(f"/teams/{name}/quota")


def _form(values: Mapping[str, str]) -> Form:
    """What was typed, without what an earlier preview had to be confirmed with."""
    return Form({k: v for k, v in values.items() if k != "confirm"})


def _problem(error: AtollError, values: Mapping[str, str]) -> ProblemView:
    if isinstance(error, PreconditionError):
        return ProblemView(
            "It changed while you were typing",
            "Somebody changed this quota after you opened the form.",
            "Look at what it says now, then save again to keep your values, or cancel to drop them.",
            error.code,
            error.status,
        )
    return problem_view(error, lambda field: place_in_quota_form(values, field))


def _page(
    visit: Visit, quota: QuotaRead, form: Form, *, status: int = 200,
    problem: ProblemView | None = None, preview: QuotaPreview | None = None,
    differs: Sequence[tuple[str, str, str]] = (),
) -> Response:  # fmt: skip
    values: dict[str, Any] = {
        "quota": quota,
        "form": form,
        "inputs": quota_inputs(quota),
        "problem": problem,
        "preview": team_preview_view(preview) if preview else None,
        "differs": differs,
    }
    return visit.page("quota_edit.html", status, section="teams", **values)
