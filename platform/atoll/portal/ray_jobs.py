"""The page of one Ray job: what it runs, how it goes, what it printed."""

import asyncio
from urllib.parse import quote

from fastapi import APIRouter, Response

from atoll.contract.ray import RayJobRead
from atoll.errors import UnavailableError
from atoll.portal.ray import JobLog, RayReader
from atoll.portal.visits import PortalRoute, RayVisit

router = APIRouter(include_in_schema=False, route_class=PortalRoute)


@router.get("/virtual-clusters/{name}/ray-jobs/{job}")
async def job_page(name: str, job: str, visit: RayVisit, cluster: str | None = None) -> Response:
    """One job."""
    vc = await visit.use_cases.virtual_clusters.get(visit.caller, name)
    reader = visit.ray(vc.name)
    (found, trouble), log = await asyncio.gather(
        _job(reader, job, cluster), reader.log(job, cluster)
    )
    shown = log or JobLog("", cut=False)
    return visit.page(
        "job.html", section="virtual-clusters", vc=vc, name=job, job=found, trouble=trouble,
        log=shown.text if log else None, cut=shown.cut, query=f"?cluster={quote(cluster)}" if cluster else "",
    )  # fmt: skip


async def _job(reader: RayReader, name: str, cluster: str | None) -> tuple[RayJobRead | None, str]:
    try:
        return await reader.job(name, cluster), ""
    except UnavailableError as error:
        return None, error.detail
