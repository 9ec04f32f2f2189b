"""Pages of teams: the list, one team, and creating a virtual cluster in it."""

import asyncio
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from atoll.application.nodes import read_inventory
from atoll.application.pages import LIMIT_MOST, PageAsk, every
from atoll.application.validation import parse
from atoll.contract.profiles import ProfileRead
from atoll.contract.teams import TeamRead
from atoll.contract.virtual_clusters import VirtualClusterCreate, VirtualClusterRead
from atoll.errors import AtollError
from atoll.portal.forms import Form, create_body, new_form, place_in_form
from atoll.portal.pages import node_templates, preview_values, team_card, team_values
from atoll.portal.problems import problem_view
from atoll.portal.visits import PortalRoute, TeamsVisit, Visit, WriteVisit, go, typed

router = APIRouter(include_in_schema=False, route_class=PortalRoute)
_ALL = PageAsk(limit=LIMIT_MOST)


@router.get("/teams")
async def list_page(visit: TeamsVisit, cursor: str | None = None) -> Response:
    """All teams the caller may see, with their bars and virtual clusters."""
    cases, now = visit.use_cases, datetime.now(UTC)
    teams, clusters = await asyncio.gather(
        cases.teams.page(visit.caller, PageAsk(cursor=cursor)), every_cluster(visit)
    )
    cards = [team_card(team, clusters, now) for team in teams.items]
    return visit.page("teams.html", section="teams", teams=cards, next=teams.next, now=now)


async def every_cluster(visit: Visit, team: str | None = None) -> list[VirtualClusterRead]:
    """All virtual clusters the caller may see, of one team or of all."""
    cases = visit.use_cases.virtual_clusters
    return await every(lambda ask: cases.page(visit.caller, ask, team=team))


async def _profiles(visit: Visit) -> list[ProfileRead]:
    return (await visit.use_cases.profiles.page(visit.caller, _ALL)).items


@router.get("/teams/{name}")
async def one_page(name: str, visit: TeamsVisit) -> Response:
    """One team."""
    team = await visit.use_cases.teams.get(visit.caller, name)
    return await _team_page(visit, team, None)


@router.post("/teams/{name}/virtual-clusters")
async def create(name: str, request: Request, visit: WriteVisit) -> Response:
    """Create a virtual cluster, or show what creating it would do."""
    values = await typed(request)
    team = await visit.use_cases.teams.get(visit.caller, name)
    preview = values.get("do") == "preview"
    try:
        wanted = parse(VirtualClusterCreate, create_body(name, values))
        made = await visit.use_cases.virtual_clusters.create(visit.caller, wanted, dry_run=preview)
    except AtollError as error:
        problem = problem_view(error, lambda field: place_in_form(None, field))
        form = Form(values, problem.wrong, open=True)
        return await _team_page(visit, team, form, status=error.status, problem=problem)
    if not preview:
        return go(f"/virtual-clusters/{made.name}")
    return await _team_page(
        visit, team, Form(values, open=True), preview=preview_values(team, made)
    )


async def _team_page(
    visit: Visit, team: TeamRead, form: Form | None, *, status: int = 200, **values: Any
) -> Response:
    cases = visit.use_cases
    quota, clusters, profiles, inventory = await asyncio.gather(
        cases.quotas.get(visit.caller, team.name),
        every_cluster(visit, team.name),
        _profiles(visit),
        read_inventory(cases.cluster, visit.settings.node_label),
    )
    templates = node_templates(inventory)
    form = form or new_form([p.name for p in profiles], open=not clusters)
    shown = team_values(team, quota, clusters, profiles, templates, form)
    return visit.page(
        "team.html",
        status,
        section="teams",
        **({"problem": None, "preview": None} | shown | values),
    )
