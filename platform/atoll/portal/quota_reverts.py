"""The page that goes back to an earlier quota of a team: what it was, what going back would do."""

from typing import Annotated, Any

from fastapi import APIRouter, Request, Response

from atoll.application.validation import parse
from atoll.contract.quotas import QuotaRevert, QuotaWrite
from atoll.errors import (
    AtollError,
    ConfirmationNeededError,
    FieldProblem,
    InvalidError,
    NotFoundError,
    PreconditionError,
)
from atoll.portal.bars import label_of
from atoll.portal.forms import Form
from atoll.portal.problems import Place, ProblemView, problem_view
from atoll.portal.quota_forms import team_preview_view
from atoll.portal.quotas import CAUSES
from atoll.portal.visits import PortalRoute, Visit, go, typed, visiting

router = APIRouter(include_in_schema=False, route_class=PortalRoute)
RevertVisit = Annotated[Visit, visiting("quotas:write")]


@router.get("/teams/{name}/quota/history/{number}")
async def revert_page(name: str, number: str, visit: RevertVisit) -> Response:
    """The state of that number, and what going back to it would do now."""
    return await _page(visit, name, _number(number), Form({}))


@router.post("/teams/{name}/quota/history/{number}")
async def revert(name: str, number: str, request: Request, visit: RevertVisit) -> Response:
    """Go back to it; what got worse since the page was made is shown first."""
    values, then = await typed(request), _number(number)
    try:
        wanted = parse(QuotaRevert, {"number": then, "note": values.get("note", "").strip()})
        await visit.use_cases.quotas.revert(
            visit.caller, name, wanted,
            expected=frozenset({values.get("seen", "")}), confirm=values.get("confirm") or None,
        )  # fmt: skip
    except ConfirmationNeededError as error:
        return await _page(visit, name, then, Form(values), status=error.status)
    except AtollError as error:
        problem = _problem(error)
        form = Form(values, problem.wrong)
        return await _page(visit, name, then, form, problem=problem, status=error.status)
    return go(f"/teams/{name}/quota")


def _number(text: str) -> int:
    """The number in an address."""
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise NotFoundError(f"{text[:60]!r} is no number of a quota history")
    return int(text)


def _problem(error: AtollError) -> ProblemView:
    if isinstance(error, PreconditionError):
        return ProblemView(
            "It changed while you were looking",
            "Somebody changed this quota after you opened the page.",
            "Look at what going back would do now, then press again, or keep it as it is.",
            error.code,
            error.status,
        )
    return problem_view(error, place_in_revert)


def place_in_revert(problem: FieldProblem) -> Place:
    """The input, or the words for the line of that time that may not be any more."""
    parts = problem.parts
    parts = parts[1:] if parts[0] == "spec" else parts
    match parts:
        case ["note"]:
            return "note", "Why"
        case ["quota", resource, *rest]:
            return "", " ".join([label_of(resource), *rest[:1], "of that time"])
    return "", ", ".join(parts) or "Request"


async def _page(
    visit: Visit, name: str, number: int, form: Form, *, status: int = 200,
    problem: ProblemView | None = None,
) -> Response:  # fmt: skip
    cases, caller = visit.use_cases.quotas, visit.caller
    then = await cases.revision(caller, name, number)
    quota = await cases.get(caller, name)
    preview = None
    try:
        seen = await cases.preview(caller, name, QuotaWrite(quota=then.quota))
        # What is confirmed must be what is shown: the revision, too, is that of the preview.
        quota = quota.model_copy(update={"revision": seen.revision})
        preview = team_preview_view(seen)
    except InvalidError as error:
        problem = problem or problem_view(error, place_in_revert)
    values: dict[str, Any] = {
        "quota": quota,
        "then": then,
        "cause": CAUSES[then.cause],
        "same": then.quota == quota.quota,
        "form": form,
        "pressed": bool(form.values),
        "problem": problem,
        "preview": preview,
    }
    return visit.page("quota_revert.html", status, section="teams", **values)
