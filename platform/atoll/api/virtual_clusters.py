"""Routes of virtual clusters."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response

from atoll.api.bodies import MergePatch, documented_patch
from atoll.api.parameters import Ask, Cases, Confirm, DryRun, IdempotencyKey, IfMatch, tag
from atoll.api.problems import COMMON, documented, dry_run_answer
from atoll.application.kubeconfigs import kubeconfig_text
from atoll.auth import Caller, require
from atoll.contract.base import Page
from atoll.contract.virtual_clusters import (
    VirtualClusterCreate,
    VirtualClusterQuotaPreview,
    VirtualClusterQuotaWrite,
    VirtualClusterRead,
)
from atoll.settings import Settings

router = APIRouter(prefix="/virtual-clusters", tags=["virtual clusters"], responses=COMMON)
Reader = Annotated[Caller, Depends(require("virtual-clusters:read"))]
Writer = Annotated[Caller, Depends(require("virtual-clusters:write"))]
Connector = Annotated[Caller, Depends(require("virtual-clusters:connect"))]
_HEADERS = {
    "Location": {"description": "The operation to follow", "schema": {"type": "string"}},
    "Retry-After": {
        "description": "Seconds until a look is worth it",
        "schema": {"type": "integer"},
    },
}
_ACCEPTED: dict[int | str, dict[str, Any]] = {
    202: {"description": "Accepted; follow `Location`", "headers": _HEADERS}
}


_DRY = dry_run_answer(VirtualClusterRead)


def _accepted(response: Response, found: VirtualClusterRead, *, dry: bool) -> VirtualClusterRead:
    if dry:
        response.status_code = 200
    else:
        response.headers["Location"] = found.operation.href
        response.headers["Retry-After"] = "2"
        tag(response, found.revision)
    return found


@router.get("", response_model_exclude_none=True)
async def list_virtual_clusters(
    caller: Reader,
    cases: Cases,
    ask: Ask,
    team: Annotated[
        str | None, Query(max_length=253, description="Only those of this team")
    ] = None,
) -> Page[VirtualClusterRead]:
    """Virtual clusters, by name."""
    return await cases.virtual_clusters.page(caller, ask, team=team)


@router.post(
    "",
    status_code=202,
    response_model_exclude_none=True,
    responses={**documented(400, 409, 413), **_ACCEPTED, **_DRY},
)
async def create_virtual_cluster(
    *,
    caller: Writer,
    cases: Cases,
    wanted: VirtualClusterCreate,
    dry: DryRun,
    response: Response,
    key: IdempotencyKey = None,
) -> VirtualClusterRead:
    """A new virtual cluster; its quota is taken from the team's at once, the rest takes a while."""
    made = await cases.virtual_clusters.create(caller, wanted, key=key, dry_run=dry)
    return _accepted(response, made, dry=dry)


@router.get("/{virtual_cluster}", response_model_exclude_none=True, responses=documented(404, 409))
async def get_virtual_cluster(
    caller: Reader, cases: Cases, virtual_cluster: str, response: Response
) -> VirtualClusterRead:
    """One virtual cluster with its steps and conditions."""
    found = await cases.virtual_clusters.get(caller, virtual_cluster)
    tag(response, found.revision)
    return found


@router.patch(
    "/{virtual_cluster}",
    status_code=202,
    response_model_exclude_none=True,
    responses={**documented(400, 404, 409, 412, 413, 415, 428), **_ACCEPTED, **_DRY},
    openapi_extra=documented_patch("VirtualClusterSpec"),
)
async def patch_virtual_cluster(
    *,
    caller: Writer,
    cases: Cases,
    virtual_cluster: str,
    expected: IfMatch,
    body: MergePatch,
    dry: DryRun,
    confirm: Confirm,
    response: Response,
) -> VirtualClusterRead:
    """Change parts of the spec by a JSON merge patch. Name, team and mode stay. A lower quota stops
    nothing that runs, and below what is used it needs `confirm`.
    """
    found = await cases.virtual_clusters.patch(
        caller, virtual_cluster, body, expected=expected, dry_run=dry, confirm=confirm
    )
    return _accepted(response, found, dry=dry)


@router.delete(
    "/{virtual_cluster}",
    status_code=202,
    response_model_exclude_none=True,
    responses={**documented(404, 409, 412, 428), **_ACCEPTED, **_DRY},
)
async def delete_virtual_cluster(
    *,
    caller: Writer,
    cases: Cases,
    virtual_cluster: str,
    expected: IfMatch,
    dry: DryRun,
    response: Response,
) -> VirtualClusterRead:
    """Delete a virtual cluster and everything in it."""
    found = await cases.virtual_clusters.delete(
        caller, virtual_cluster, expected=expected, dry_run=dry
    )
    return _accepted(response, found, dry=dry)


@router.post(
    "/{virtual_cluster}/quota:preview",
    response_model_exclude_none=True,
    responses=documented(400, 404, 409, 413),
)
async def preview_virtual_cluster_quota(
    caller: Reader, cases: Cases, virtual_cluster: str, wanted: VirtualClusterQuotaWrite
) -> VirtualClusterQuotaPreview:
    """What this quota would do: what is over, which Ray clusters of the spec no longer fit, and why a
    PATCH would be refused. Writes nothing; its `confirm` is for a PATCH.
    """
    return await cases.virtual_clusters.preview_quota(caller, virtual_cluster, wanted)


@router.get(
    "/{virtual_cluster}/kubeconfig",
    response_class=Response,
    responses={
        **documented(404),
        200: {"content": {"application/yaml": {"schema": {"type": "string"}}}},
    },
)
async def get_kubeconfig(
    caller: Connector, cases: Cases, virtual_cluster: str, request: Request
) -> Response:
    """A kubeconfig with no secret in it: `atoll credential` fetches a short-lived token when used."""
    found = await cases.virtual_clusters.get(caller, virtual_cluster)
    settings: Settings = request.app.state.settings
    text = kubeconfig_text(found.name, settings)
    disposition = f'attachment; filename="{found.name}.kubeconfig.yaml"'
    return Response(
        text, media_type="application/yaml", headers={"Content-Disposition": disposition}
    )
