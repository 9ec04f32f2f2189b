"""The page on which a team asks for a larger quota: what would be asked, and the request itself."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response

from atoll.application.validation import parse
from atoll.contract.quota_requests import QuotaRequestCreate, QuotaRequestRead
from atoll.contract.quotas import QuotaRead
from atoll.errors import AtollError, FieldProblem
from atoll.portal.bars import label_of
from atoll.portal.forms import Form
from atoll.portal.problems import Place, ProblemView, problem_view
from atoll.portal.quota_forms import QuotaInputs, quota_inputs, told
from atoll.portal.visits import PortalRoute, Visit, go, typed, visiting

router = APIRouter(include_in_schema=False, route_class=PortalRoute)
AskVisit = Annotated[Visit, visiting("quota-requests:write")]
_DAYS = "30"
_FIELDS = {"reason": "Why", "days": "Days it may wait"}


@dataclass(frozen=True)
class Asked:
    """What a request would ask for, in words; `until` is RFC 3339."""

    lines: list[tuple[str, str, str]]
    """(resource, limit of now, limit that is asked for)"""
    until: str | None


@router.get("/teams/{name}/quota/ask")
async def ask_page(name: str, visit: AskVisit) -> Response:
    """The form with an input for each limit that can be raised."""
    quota = await visit.use_cases.quotas.get(visit.caller, name)
    return _page(visit, quota, Form({"days": _DAYS}))


@router.post("/teams/{name}/quota/ask")
async def ask(name: str, request: Request, visit: AskVisit) -> Response:
    """Make the request, or show what it would ask for."""
    values = await typed(request)
    cases, preview = visit.use_cases, values.get("do") == "preview"
    quota = await cases.quotas.get(visit.caller, name)
    try:
        wanted = parse(QuotaRequestCreate, ask_body(name, values))
        made = await cases.quota_requests.create(
            visit.caller, wanted, key=_key(values, wanted), dry_run=preview
        )
    except AtollError as error:
        problem = problem_view(error, place_in_ask_form)
        form = Form(values, problem.wrong)
        return _page(visit, quota, form, status=error.status, problem=problem)
    if preview:
        return _page(visit, quota, Form(values), preview=asked_view(made))
    return go(f"/teams/{name}/quota")


def ask_body(team: str, values: Mapping[str, str]) -> dict[str, Any]:
    """The body of a request; a limit whose input is empty is not asked for."""
    wanted = {
        key.removeprefix("wanted."): text.strip()
        for key, text in values.items()
        if key.startswith("wanted.") and text.strip()
    }
    days = values.get("days", "").strip() or _DAYS
    return {
        "team": team,
        "quota": wanted,
        "reason": values.get("reason", "").strip(),
        "days": int(days) if days.isdecimal() and len(days) < 9 else days,
    }


def place_in_ask_form(problem: FieldProblem) -> Place:
    """The input and label for a JSON pointer of a request."""
    parts = problem.parts
    match parts:
        case ["quota", resource, *_]:
            return f"wanted.{resource}", f"{label_of(resource)} wanted"
        case ["quota"]:
            return "wanted", "Limits"
        case ["reason" | "days" as name]:
            return name, _FIELDS[name]
    return "", ", ".join(parts) or "Request"


def asked_view(request: QuotaRequestRead) -> Asked:
    """A request for the preview of its page."""
    lines = [
        (label_of(li.resource), told(li.resource, li.now), told(li.resource, li.asked))
        for li in request.lines
    ]
    return Asked(lines, request.spec.expires_at)


def _key(values: Mapping[str, str], wanted: QuotaRequestCreate) -> str | None:
    """The same for a form that is sent twice, as by two presses; another when its text has changed."""
    page = values.get("page", "")
    text = json.dumps([page, wanted.dump()], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest() if page else None


def _inputs(quota: QuotaRead) -> list[QuotaInputs]:
    """One for each limit that the team itself has: only those can be raised."""
    use = {u.resource: u for u in quota.use}
    found = []
    for one in quota_inputs(quota):
        if line := quota.quota.get(one.name):
            held = use.get(one.name)
            reserved = f", {told(one.name, held.reserved)} reserved" if held else ""
            hint = f"Now {told(one.name, line.limit)}{reserved}."
            found.append(QuotaInputs(one.name, one.label, hint))
    return found


def _page(
    visit: Visit, quota: QuotaRead, form: Form, *, status: int = 200,
    problem: ProblemView | None = None, preview: Asked | None = None,
) -> Response:  # fmt: skip
    values: dict[str, Any] = {
        "quota": quota,
        "form": form,
        "inputs": _inputs(quota),
        "page": secrets.token_hex(16),
        "problem": problem,
        "preview": preview,
    }
    return visit.page("quota_ask.html", status, section="teams", **values)
