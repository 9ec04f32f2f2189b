"""Pages of virtual clusters: the list, one, its YAML and its kubeconfig."""

from datetime import UTC, datetime

from fastapi import APIRouter, Response

from atoll.application.kubeconfigs import kubeconfig_text
from atoll.application.pages import PageAsk
from atoll.contract.platform import NO_WORKER
from atoll.contract.virtual_clusters import VirtualClusterRead
from atoll.portal.pages import as_yaml, cluster_line, holds, virtual_cluster_values
from atoll.portal.ray import RayView
from atoll.portal.rendering import HEADERS
from atoll.portal.visits import ConnectVisit, PortalRoute, ReadVisit, Visit

router = APIRouter(include_in_schema=False, route_class=PortalRoute)


@router.get("/virtual-clusters")
async def list_page(visit: ReadVisit, cursor: str | None = None) -> Response:
    """All virtual clusters the caller may see."""
    now = datetime.now(UTC)
    page = await visit.use_cases.virtual_clusters.page(visit.caller, PageAsk(cursor=cursor))
    lines = [cluster_line(vc, now) for vc in page.items]
    return visit.page(
        "virtual_clusters.html", section="virtual-clusters", clusters=lines, next=page.next, now=now
    )


@router.get("/virtual-clusters/{name}")
async def one_page(name: str, visit: ReadVisit) -> Response:
    """One virtual cluster, live."""
    vc = await visit.use_cases.virtual_clusters.get(visit.caller, name)
    ray = await ray_of(visit, vc)
    values = virtual_cluster_values(
        vc, _kubeconfig_text(visit, vc), visit.settings.api_url, datetime.now(UTC)
    )
    idle = NO_WORKER if await _nobody_works(visit, vc) else ""
    return visit.page(
        "virtual_cluster.html", section="virtual-clusters", ray=ray, idle=idle, **values
    )


async def _nobody_works(visit: Visit, vc: VirtualClusterRead) -> bool:
    """Whether something is to be done and no worker is there to do it."""
    done = vc.status.phase == "Ready" and vc.status.observed_generation == vc.generation
    return not done and await visit.use_cases.dispatch.worked_on() is False


async def ray_of(visit: Visit, vc: VirtualClusterRead) -> RayView | None:
    """What runs in it; None while KubeRay is not there, so there is nothing to ask."""
    if not (holds(vc, "AccessReady") and holds(vc, "OperatorReady")):
        return None
    return await visit.ray(vc.name).overview()


def _kubeconfig_text(visit: Visit, vc: VirtualClusterRead) -> str:
    return kubeconfig_text(vc.name, visit.settings)


@router.get("/virtual-clusters/{name}/kubeconfig")
async def kubeconfig_file(name: str, visit: ConnectVisit) -> Response:
    """The kubeconfig as a file to keep; there is no secret in it."""
    vc = await visit.use_cases.virtual_clusters.get(visit.caller, name)
    disposition = {"Content-Disposition": f'attachment; filename="{vc.name}.yaml"'}
    return Response(
        _kubeconfig_text(visit, vc), media_type="application/yaml", headers=HEADERS | disposition
    )


@router.get("/virtual-clusters/{name}/yaml")
async def yaml_page(name: str, visit: ReadVisit) -> Response:
    """The object as the API gives it."""
    vc = await visit.use_cases.virtual_clusters.get(visit.caller, name)
    return visit.page("yaml.html", section="virtual-clusters", vc=vc, text=as_yaml(vc))
