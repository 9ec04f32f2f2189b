"""Finding jobs among the Ray clusters of a virtual cluster and its RayJob resources."""

import asyncio
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from atoll.application.idempotency import Idempotency
from atoll.contract.ray import RayClusterRead, RayJobRead
from atoll.domain.names import RAY_NAMESPACE
from atoll.errors import (
    AtollError,
    ConflictError,
    FieldProblem,
    InvalidError,
    NotFoundError,
    UnavailableError,
)
from atoll.gateway.callers import AskedVirtualCluster
from atoll.gateway.idempotency import earlier_job
from atoll.gateway.parts import Parts
from atoll.gateway.ray_api import HeadName
from atoll.gateway.ray_clusters import ray_clusters
from atoll.gateway.ray_states import ray_job_read, ray_job_resource_read
from atoll.gateway.tenants import Object

_JOB_NAME = re.compile(r"^[A-Za-z0-9]([-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?\Z")
_RESOURCES = "/apis/ray.io/v1/rayjobs"
_OTHERS_SECONDS = 2.0


def job_name_problem(name: str) -> str | None:
    """Why a job cannot have this name, or None when it can."""
    if _JOB_NAME.match(name):
        return None
    return (
        f"{name[:70]!r} is no job name; use at most 63 letters, digits, '-', '_' and '.', "
        "with a letter or digit first and last"
    )


@dataclass(frozen=True)
class FoundJob:
    """A job, the head that runs it, its path in Ray's API, and its RayJob when it has one."""

    read: RayJobRead
    head: HeadName
    path: str
    resource: Object | None = None

    def check_started(self) -> None:
        """ConflictError when no Ray cluster has it yet: there is no log to read."""
        if self.head.cluster and self.path:
            return
        why = self.read.message or "its Ray cluster is not ready"
        raise ConflictError(
            f"RayJob {self.read.name!r} has not started yet: {why}.", code="not_ready", who="nobody"
        )


@dataclass(frozen=True)
class JobSearch:
    """Looks through one virtual cluster for one request."""

    parts: Parts
    asked: AskedVirtualCluster

    async def head(self, cluster: str, field: str) -> HeadName:
        """The head of a Ray cluster that is ready; the error names the request's `field`."""
        found = [c for c in await ray_clusters(self.parts, self.asked) if c.name == cluster]
        here = next((c for c in found if c.namespace == RAY_NAMESPACE), next(iter(found), None))
        if here is None:
            wrong = FieldProblem(field, f"there is no Ray cluster {cluster[:60]!r}")
            raise InvalidError(
                f"There is no Ray cluster {cluster[:60]!r} in {self.asked.name!r}.", fields=(wrong,)
            )
        if here.state != "ready":
            why = f": {here.message}" if here.message else ""
            raise ConflictError(
                f"Ray cluster {cluster!r} is {here.state}{why}. Jobs need a ready one.",
                code="not_ready",
            )
        return self._head(here)

    async def earlier(self, use: Idempotency | None, head: HeadName) -> dict[str, Any] | None:
        """What an earlier request with this key submitted, as Ray tells it; None when nothing.

        The head that is asked for must answer: without its word a job might run twice. Others can
        only know of another body, and one that is silent must not hold the job up.
        """
        if use is None:
            return None
        found: list[dict[str, Any]] = await self.parts.ray.call(head, "GET", "/api/jobs/")
        others = [h for c in await self._ready(None) if (h := self._head(c)) != head]
        for answer in await asyncio.gather(*(self._soon(h, "/api/jobs/") for h in others)):
            found = [*found, *answer]
        return earlier_job(use, found)

    async def _soon(self, head: HeadName, path: str) -> list[dict[str, Any]]:
        try:
            async with asyncio.timeout(_OTHERS_SECONDS):
                answer: list[dict[str, Any]] = await self.parts.ray.call(head, "GET", path)
                return answer
        except (AtollError, TimeoutError):
            return []

    async def all(self, cluster: str | None) -> tuple[list[RayJobRead], list[str]]:
        """All jobs, and the names of the Ray clusters that did not answer."""
        clusters = await self._ready(cluster)
        answers = await asyncio.gather(*(self._try(c, "/api/jobs/") for c in clusters))
        resources = await self._resources()
        reads = [ray_job_resource_read(r) for r in resources]
        reads = [r for r in reads if cluster in (None, r.cluster)]
        # Ray lists what a RayJob submitted as well, under an id that KubeRay made up.
        known = {(r.get("status") or {}).get("jobId") for r in resources}
        for where, answer in zip(clusters, answers, strict=True):
            for job in [] if isinstance(answer, AtollError) else answer:
                if job.get("submission_id") and job["submission_id"] not in known:
                    reads.append(ray_job_read(job, where.name))
        silent = [
            c.name for c, a in zip(clusters, answers, strict=True) if isinstance(a, AtollError)
        ]
        return reads, silent

    async def one(self, name: str, cluster: str | None) -> FoundJob:
        """One job; NotFoundError, or ConflictError when it is on several Ray clusters."""
        path = f"/api/jobs/{quote(name, safe='')}"
        missing = NotFoundError(f"There is no Ray job {name[:70]!r} in {self.asked.name!r}.")
        if not _JOB_NAME.match(name):
            raise missing
        clusters = await self._ready(cluster)
        answers = await asyncio.gather(*(self._try(c, path) for c in clusters))
        pairs = list(zip(clusters, answers, strict=True))
        found = [(c, a) for c, a in pairs if not isinstance(a, AtollError)]
        if len(found) > 1:
            names = ", ".join(c.name for c, _ in found)
            raise ConflictError(
                f"Ray job {name!r} is on several Ray clusters ({names}); say which with ?cluster=.",
                code="ambiguous",
            )
        if found:
            where, job = found[0]
            return FoundJob(ray_job_read(job, where.name), self._head(where), path)
        resource = await self._resource(name, cluster)
        if resource:
            return resource
        silent = [c.name for c, a in pairs if not isinstance(a, NotFoundError)]
        if silent:
            raise UnavailableError(
                f"Ray job {name!r} was not found, but {', '.join(silent)} did not answer."
            )
        raise missing

    async def delete_resource(self, resource: Object) -> None:
        """Ask for the deletion of a RayJob; KubeRay stops it first."""
        meta = resource["metadata"]
        path = f"/apis/ray.io/v1/namespaces/{meta['namespace']}/rayjobs/{meta['name']}"
        await self.parts.tenants.call(self.asked.name, "DELETE", path)

    async def _resource(self, name: str, cluster: str | None) -> FoundJob | None:
        for item in await self._resources(name):
            read = ray_job_resource_read(item)
            if cluster in (None, read.cluster):
                job_id = (item.get("status") or {}).get("jobId")
                head = HeadName(self.asked.name, read.cluster, item["metadata"]["namespace"])
                path = f"/api/jobs/{quote(job_id, safe='')}" if job_id else ""
                return FoundJob(read, head, path, item)
        return None

    async def _resources(self, name: str | None = None) -> list[Object]:
        params = {"fieldSelector": f"metadata.name={name}"} if name else None
        try:
            found = await self.parts.tenants.call(
                self.asked.name, "GET", _RESOURCES, params=params, what="RayJobs"
            )
        except NotFoundError:
            return []  # KubeRay is not installed yet, so there are none.
        items: list[Object] = found["items"]
        return items

    async def _ready(self, cluster: str | None) -> list[RayClusterRead]:
        clusters = await ray_clusters(self.parts, self.asked)
        return [c for c in clusters if c.state == "ready" and cluster in (None, c.name)]

    async def _try(self, cluster: RayClusterRead, path: str) -> Any:
        """What Ray answers, or the error: a silent head must not hide the others' jobs."""
        try:
            return await self.parts.ray.call(self._head(cluster), "GET", path)
        except AtollError as error:
            return error

    def _head(self, cluster: RayClusterRead) -> HeadName:
        return HeadName(self.asked.name, cluster.name, cluster.namespace)
