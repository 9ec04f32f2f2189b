"""Ray jobs of a virtual cluster: over the job API of its Ray heads, and RayJob resources."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, cast
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request, Response
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.types import Send

from atoll.application.idempotency import Idempotency, one_at_a_time
from atoll.application.pages import piece
from atoll.application.validation import refuse_if_any
from atoll.contract.base import Page
from atoll.contract.ray import RayJobCreate, RayJobRead
from atoll.errors import ConflictError, FieldProblem
from atoll.gateway.callers import ReadingRay, WritingRay
from atoll.gateway.idempotency import job_metadata, use_of
from atoll.gateway.parts import parts_of
from atoll.gateway.queries import Ask, IdempotencyKey
from atoll.gateway.ray_api import HeadName
from atoll.gateway.ray_job_search import FoundJob, JobSearch, job_name_problem
from atoll.gateway.ray_states import TERMINAL, ray_job_read
from atoll.resources.faults import pointer

_ALL = "/v1/virtual-clusters/{vc}/ray-jobs"
_ONE = _ALL + "/{name}"
_STOP_TRIES, _STOP_PAUSE = 20, 0.5
"""Ray gives a job 3 seconds to end by itself before it kills it; we wait for 10."""
INCOMPLETE = "atoll-incomplete"
"""Header of a list that lacks what some Ray clusters did not tell; names them."""
router = APIRouter(tags=["ray-jobs"])

Name = Annotated[str, Path(max_length=128)]
OnCluster = Annotated[str | None, Query(description="Look on this Ray cluster only")]


@router.get(_ALL)
async def list_ray_jobs(
    asked: ReadingRay, request: Request, response: Response, ask: Ask, cluster: OnCluster = None
) -> Page[RayJobRead]:
    """Jobs of every ready Ray cluster and all RayJob resources, by name."""
    jobs, silent = await JobSearch(parts_of(request), asked).all(cluster)
    if silent:
        response.headers[INCOMPLETE] = ", ".join(silent)
    return piece(jobs, ask)


@router.post(_ALL, status_code=201)
async def create_ray_job(
    *,
    asked: WritingRay,
    wanted: RayJobCreate,
    request: Request,
    response: Response,
    key: IdempotencyKey = None,
) -> RayJobRead:
    """Submit a job to a ready Ray cluster. ConflictError "exists" when the name is taken."""
    problem = job_name_problem(wanted.name)
    blank = not wanted.entrypoint.strip()
    refuse_if_any(
        ([FieldProblem(pointer("name"), problem)] if problem else [])
        + ([FieldProblem(pointer("entrypoint"), "is empty; give a shell command")] if blank else [])
    )
    use = use_of(key, asked, wanted)
    search = JobSearch(parts_of(request), asked)
    async with one_at_a_time(use):
        head = await search.head(wanted.cluster, pointer("cluster"))
        made = await search.earlier(use, head) or await _submit(search, head, wanted, use)
    response.headers["location"] = _ONE.format(vc=asked.name, name=wanted.name)
    return ray_job_read(made, wanted.cluster)


async def _submit(
    search: JobSearch, head: HeadName, wanted: RayJobCreate, use: Idempotency | None
) -> dict[str, Any]:
    ray = search.parts.ray
    body = {
        "submission_id": wanted.name,
        "entrypoint": wanted.entrypoint,
        "runtime_env": wanted.runtime_env,
        "metadata": job_metadata(use, wanted.metadata),
    }
    try:
        await ray.call(head, "POST", "/api/jobs/", body=body)
    except ConflictError:
        # Another process of ours may have served the same request a moment before.
        if made := await search.earlier(use, head):
            return made
        raise
    found: dict[str, Any] = await ray.call(head, "GET", f"/api/jobs/{quote(wanted.name, safe='')}")
    return found


@router.get(_ONE)
async def get_ray_job(
    asked: ReadingRay, name: Name, request: Request, cluster: OnCluster = None
) -> RayJobRead:
    """One job. ConflictError when several Ray clusters have one of that name: say which cluster."""
    return (await JobSearch(parts_of(request), asked).one(name, cluster)).read


@router.delete(_ONE, status_code=204)
async def delete_ray_job(
    asked: WritingRay, name: Name, request: Request, cluster: OnCluster = None
) -> None:
    """Stop the job when it runs, and forget it together with its log."""
    search = JobSearch(parts_of(request), asked)
    found = await search.one(name, cluster)
    if found.resource:
        await search.delete_resource(found.resource)
        return
    ray = parts_of(request).ray
    if found.read.status not in TERMINAL:
        await _stop(request, found)
    await ray.call(found.head, "DELETE", found.path)


@router.get(_ONE + "/logs", response_class=PlainTextResponse)
async def ray_job_logs(
    asked: ReadingRay,
    name: Name,
    request: Request,
    follow: bool = False,
    cluster: OnCluster = None,
) -> Response:
    """What the job's driver wrote; with `follow`, also what it writes until it ends."""
    ray = parts_of(request).ray
    found = await JobSearch(parts_of(request), asked).one(name, cluster)
    found.check_started()
    if follow:
        return LiveText(ray.tail(found.head, f"{found.path}/logs/tail"))
    answer: dict[str, Any] = await ray.call(found.head, "GET", f"{found.path}/logs")
    return PlainTextResponse(answer.get("logs") or "")


class LiveText(StreamingResponse):
    """Text as it comes. Its source is read and closed in one task, as its cancel scopes demand."""

    media_type = "text/plain"

    async def stream_response(self, send: Send) -> None:
        """Start at once, so that the caller sees that it is connected; then stream to the end."""
        async with aclosing(cast(AsyncGenerator[str, None], self.body_iterator)):
            await super().stream_response(send)


async def _stop(request: Request, found: FoundJob) -> None:
    ray = parts_of(request).ray
    await ray.call(found.head, "POST", f"{found.path}/stop")
    for _ in range(_STOP_TRIES):
        info = await ray.call(found.head, "GET", found.path)
        if info["status"] in TERMINAL:
            return
        await asyncio.sleep(_STOP_PAUSE)
    raise ConflictError(
        f"Ray job {found.read.name!r} is stopping and has not ended yet. "
        "Delete it again in a moment.",
        code="stopping",
    )
