"""Pages that change or delete a virtual cluster, with the revision that the person saw."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request, Response

from atoll.application.nodes import read_inventory
from atoll.application.revisions import Expected
from atoll.contract.virtual_clusters import VirtualClusterQuotaPreview, VirtualClusterRead
from atoll.errors import AtollError, ConfirmationNeededError, PreconditionError
from atoll.portal.forms import (
    Form,
    differences,
    edit_patch,
    edit_values,
    place_in_form,
    quota_fields,
)
from atoll.portal.pages import held, node_templates, what_goes
from atoll.portal.problems import ProblemView, problem_view
from atoll.portal.quota_previews import quota_preview_view
from atoll.portal.virtual_clusters import ray_of
from atoll.portal.visits import PortalRoute, Visit, WriteVisit, go, typed

router = APIRouter(include_in_schema=False, route_class=PortalRoute)


@router.get("/virtual-clusters/{name}/edit")
async def edit_page(name: str, visit: WriteVisit) -> Response:
    """The form with what is asked for now."""
    vc = await visit.use_cases.virtual_clusters.get(visit.caller, name)
    return await _edit_page(visit, vc, Form(edit_values(vc)))


@router.post("/virtual-clusters/{name}/edit")
async def edit(name: str, request: Request, visit: WriteVisit) -> Response:
    """Write what differs, or show what that would do; nothing if somebody asked for something else.

    A quota below what is used is shown and asked about first.
    """
    values = await typed(request)
    cases = visit.use_cases.virtual_clusters
    try:
        vc = await cases.get(visit.caller, name)
        if values.get("do") == "preview":
            return await _previewed(visit, vc, values)
        # A form of old values would undo what somebody else asked for: tied to what was seen.
        await cases.patch(
            visit.caller, name, edit_patch(vc, values), expected=_seen(values),
            confirm=values.get("confirm") or None,
        )  # fmt: skip
    except ConfirmationNeededError as error:
        seen = VirtualClusterQuotaPreview.model_validate(error.extra["preview"])
        return await _preview_page(visit, vc, values, seen, status=error.status)
    except AtollError as error:
        vc = await cases.get(visit.caller, name)
        problem = problem_view(error, lambda field: place_in_form(vc, field))
        differs: list[tuple[str, str, str]] = []
        if isinstance(error, PreconditionError):
            problem, differs = _overtaken(error), differences(vc, values)
        form = Form(values, problem.wrong)
        return await _edit_page(
            visit, vc, form, status=error.status, problem=problem, differs=differs
        )
    return go(f"/virtual-clusters/{name}")


async def _previewed(visit: Visit, vc: VirtualClusterRead, values: Mapping[str, str]) -> Response:
    """The form again, with what saving it would do above."""
    seen = await visit.use_cases.virtual_clusters.preview_patch(
        visit.caller, vc.name, edit_patch(vc, values), expected=_seen(values)
    )
    return await _preview_page(visit, vc, values, seen)


async def _preview_page(
    visit: Visit, vc: VirtualClusterRead, values: Mapping[str, str],
    seen: VirtualClusterQuotaPreview, *, status: int = 200,
) -> Response:  # fmt: skip
    view = quota_preview_view(seen, lambda field: place_in_form(vc, field))
    return await _edit_page(visit, vc, Form(values, view.wrong), status=status, preview=view)


def _seen(values: Mapping[str, str]) -> Expected:
    """The revision of the page that the form was on."""
    return frozenset({values.get("seen", "")})


def _overtaken(error: PreconditionError) -> ProblemView:
    return ProblemView(
        "It changed while you were typing",
        "Somebody changed this virtual cluster after you opened the form.",
        "Look at what it says now, then save again to keep your values, or cancel to drop them.",
        error.code,
        error.status,
    )


async def _edit_page(
    visit: Visit, vc: VirtualClusterRead, form: Form, *, status: int = 200, **values: Any
) -> Response:
    cases = visit.use_cases
    quota, inventory = await asyncio.gather(
        cases.quotas.get(visit.caller, vc.spec.team),
        read_inventory(cases.cluster, visit.settings.node_label),
    )
    shown: dict[str, Any] = {
        "vc": vc,
        "form": form,
        "problem": None,
        "differs": [],
        "preview": None,
        "quota_fields": quota_fields(quota, vc.spec.quota),
        "templates": node_templates(inventory, vc.name),
    }
    return visit.page("edit.html", status, section="virtual-clusters", **(shown | values))


@router.get("/virtual-clusters/{name}/delete")
async def delete_page(name: str, visit: WriteVisit) -> Response:
    """Says what goes and what stays, and asks."""
    vc = await visit.use_cases.virtual_clusters.get(visit.caller, name)
    return await _delete_page(visit, vc)


@router.post("/virtual-clusters/{name}/delete")
async def delete(name: str, request: Request, visit: WriteVisit) -> Response:
    """Ask for deletion of the very object that the person saw."""
    values = await typed(request)
    try:
        await visit.use_cases.virtual_clusters.delete(visit.caller, name, expected=_seen(values))
    except AtollError as error:
        vc = await visit.use_cases.virtual_clusters.get(visit.caller, name)
        if vc.deleting_since:  # pressed twice
            return go(f"/virtual-clusters/{name}")
        return await _delete_page(visit, vc, problem=problem_view(error), status=error.status)
    return go(f"/virtual-clusters/{name}")


async def _delete_page(
    visit: Visit, vc: VirtualClusterRead, *, problem: ProblemView | None = None, status: int = 200
) -> Response:
    ray = await ray_of(visit, vc)
    known = ray is not None and not ray.trouble
    goes = what_goes(
        vc, len(ray.clusters) if ray and known else None, len(ray.jobs) if ray and known else None
    )
    return visit.page(
        "delete.html", status, section="virtual-clusters", vc=vc, problem=problem, goes=goes,
        held=held(vc.spec.quota), now=datetime.now(UTC),
    )  # fmt: skip
