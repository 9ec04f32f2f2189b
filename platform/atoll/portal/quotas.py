"""The page of a team's quota: what is free, what it was, and who asks for more."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response

from atoll.application.pages import PageAsk, every
from atoll.contract.quota_requests import QuotaDecision, QuotaRequestRead, RequestState
from atoll.contract.quotas import QuotaDifference, QuotaRevisionRead
from atoll.errors import AtollError
from atoll.portal.bars import label_of
from atoll.portal.pages import team_trouble
from atoll.portal.problems import ProblemView, problem_view
from atoll.portal.quota_forms import line_words, told
from atoll.portal.visits import PortalRoute, Visit, go, typed, visiting
from atoll.portal.words import Tone

router = APIRouter(include_in_schema=False, route_class=PortalRoute)
QuotaVisit = Annotated[Visit, visiting("quotas:read")]
DecideVisit = Annotated[Visit, visiting("quota-requests:decide")]
_SHOWN = PageAsk(limit=20)
_VERDICTS = ("approve", "refuse")
_DECIDED_SHOWN = 10
STATES: dict[RequestState, tuple[str, Tone]] = {
    "pending": ("Waits", "calm"),
    "approved": ("Approved, about to be applied", "busy"),
    "applied": ("Approved", "good"),
    "failed": ("Approved, cannot be applied", "bad"),
    "refused": ("Refused", "warn"),
    "expired": ("Expired", "calm"),
    "obsolete": ("Not needed any more", "calm"),
}
CAUSES = {
    "created": "with the team",
    "changed": "changed",
    "reverted": "gone back to an earlier state",
    "requested": "asked for and approved",
}


def change_words(change: QuotaDifference) -> str:
    """What one revision did to one resource."""
    before = line_words(change.resource, change.before)
    return f"{label_of(change.resource)}: {before} → {line_words(change.resource, change.after)}"


def revision_words(revision: QuotaRevisionRead) -> list[str]:
    """What one revision did, line by line; empty when it named nothing and has no parent."""
    told = [change_words(change) for change in revision.changes]
    if revision.parent != revision.parent_before:
        told.append(f"Parent: {revision.parent_before or 'none'} → {revision.parent or 'none'}")
    return told


def answer_words(request: QuotaRequestRead) -> str:
    """What whoever decided said, and what hinders what they decided."""
    hindered = request.state in ("failed", "expired", "obsolete")
    return "; ".join(filter(None, (request.spec.note, request.message if hindered else "")))


@router.get("/teams/{name}/quota")
async def quota_page(name: str, visit: QuotaVisit) -> Response:
    """One team's quota, its history, and its open requests."""
    return await _page(visit, name)


@router.post("/teams/{name}/quota-requests/{quota_request}")
async def decide(name: str, quota_request: str, request: Request, visit: DecideVisit) -> Response:
    """Approve or refuse what the person saw, with a note."""
    values = await typed(request)
    verdict, seen = values.get("do", ""), values.get("seen", "")
    cases = visit.use_cases.quota_requests
    decision = QuotaDecision.model_construct(note=values.get("note", "").strip()[:2000])
    try:
        if verdict in _VERDICTS:
            carry_out = cases.approve if verdict == "approve" else cases.refuse
            await carry_out(visit.caller, quota_request, decision, expected=frozenset({seen}))
    except AtollError as error:
        return await _page(visit, name, problem=problem_view(error), status=error.status)
    return go(f"/teams/{name}/quota")


async def _requests(
    visit: Visit, team: str
) -> tuple[list[QuotaRequestRead], list[QuotaRequestRead]]:
    """Those that wait, and the others, the newest first."""
    cases = visit.use_cases.quota_requests
    found = await every(lambda ask: cases.page(visit.caller, ask, team=team))
    others = [request for request in found if request.state != "pending"]
    others.sort(key=lambda request: request.created_at or "", reverse=True)
    return [request for request in found if request.state == "pending"], others


async def _page(
    visit: Visit, name: str, *, problem: ProblemView | None = None, status: int = 200
) -> Response:
    cases, caller = visit.use_cases, visit.caller
    team, quota, history, (waiting, others) = await asyncio.gather(
        cases.teams.get(caller, name),
        cases.quotas.get(caller, name),
        cases.quotas.history(caller, name, _SHOWN),
        _requests(visit, name),
    )
    values: dict[str, Any] = {
        "team": team,
        "title": team.spec.display_name or team.name,
        "quota": quota,
        "trouble": team_trouble(team),
        "history": history.items,
        "more": history.next is not None,
        "requests": waiting,
        "decided": others[:_DECIDED_SHOWN],
        "more_decided": len(others) > _DECIDED_SHOWN,
        "states": STATES,
        "answer_words": answer_words,
        "problem": problem,
        "now": datetime.now(UTC),
        "told": told,
        "label_of": label_of,
        "revision_words": revision_words,
        "causes": CAUSES,
    }
    return visit.page("quota.html", status, section="teams", **values)
