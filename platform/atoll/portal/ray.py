"""What the gateway knows of Ray in a virtual cluster, asked with a short timeout."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import quote

import httpx2
from pydantic import BaseModel, ValidationError

from atoll.contract.ray import RayClusterRead, RayJobRead
from atoll.errors import NotFoundError, UnavailableError

_TIMEOUT = httpx2.Timeout(2.5, connect=1.0)
_LOG_MOST = 64 * 1024
_MOST = 200
_SILENT = "atoll-incomplete"
"""Header in which the gateway names the Ray clusters that did not answer."""
_PATIENCE = 3.0
"""Seconds that a page waits for the gateway in all."""
_AWAY = "cannot be reached right now. The page asks again by itself; nothing is lost."
M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True)
class RayView:
    """Ray clusters and jobs; `trouble` says in a sentence why they are not known.

    `silent` names Ray clusters that did not answer, so that their jobs are missing.
    """

    clusters: list[RayClusterRead] = field(default_factory=list)
    jobs: list[RayJobRead] = field(default_factory=list)
    trouble: str = ""
    silent: str = ""


@dataclass(frozen=True)
class JobLog:
    """The end of a job's log; `cut` when there is more before it."""

    text: str
    cut: bool


class RayReader:
    """Reads Ray of one virtual cluster from the gateway; `headers` hold the caller's credential."""

    def __init__(
        self, gateway: httpx2.AsyncClient, headers: dict[str, str], virtual_cluster: str
    ) -> None:
        self._gateway = gateway
        self._base = f"/v1/virtual-clusters/{quote(virtual_cluster)}"
        self._name = virtual_cluster
        self._headers = headers

    async def overview(self) -> RayView:
        """Ray clusters and jobs. Never raises: trouble is part of the answer."""
        try:
            (clusters, _), (jobs, silent) = await asyncio.gather(
                self._items("ray-clusters", RayClusterRead), self._items("ray-jobs", RayJobRead)
            )
        except (UnavailableError, NotFoundError) as error:
            return RayView(trouble=error.detail)
        newest = sorted(jobs, key=lambda j: j.started_at or "~", reverse=True)
        return RayView(sorted(clusters, key=lambda c: c.name), newest, silent=silent)

    async def job(self, name: str, cluster: str | None) -> RayJobRead:
        """One job, of that Ray cluster when it is named.

        NotFoundError when there is none, UnavailableError when nobody can tell.
        """
        answer = await self._get(_job_path(name), f"job {name!r}", _on(cluster))
        return _model(RayJobRead, answer.json())

    async def log(self, name: str, cluster: str | None) -> JobLog | None:
        """The end of what a job printed; None when it cannot be read."""
        tail, size = b"", 0
        try:
            async with (
                asyncio.timeout(_PATIENCE),
                self._gateway.stream(
                    "GET", f"{self._base}/{_job_path(name)}/logs", params=_on(cluster), **self._ask
                ) as answer,
            ):
                if answer.is_error:
                    return None
                async for piece in answer.aiter_bytes():
                    size += len(piece)
                    tail = (tail + piece)[-_LOG_MOST:]
        except (httpx2.HTTPError, TimeoutError):
            if not tail:
                return None
        return JobLog(tail.decode(errors="replace"), size > len(tail))

    @property
    def _ask(self) -> dict[str, Any]:
        return {"headers": self._headers, "timeout": _TIMEOUT}

    async def _items(self, noun: str, model: type[M]) -> tuple[list[M], str]:
        answer = await self._get(noun, "Ray", {"limit": str(_MOST)})
        items = answer.json()["items"]
        return [_model(model, item) for item in items], answer.headers.get(_SILENT, "")

    async def _get(self, path: str, what: str, params: dict[str, str]) -> httpx2.Response:
        try:
            async with asyncio.timeout(_PATIENCE):
                answer = await self._gateway.get(f"{self._base}/{path}", params=params, **self._ask)
        except (httpx2.HTTPError, TimeoutError) as error:
            raise UnavailableError(f"Ray in {self._name} {_AWAY}") from error
        if answer.status_code == 404:
            raise NotFoundError(_detail(answer) or f"There is no {what} in {self._name}")
        if answer.is_client_error and (detail := _detail(answer)):
            raise UnavailableError(detail)
        if answer.is_error:
            raise UnavailableError(f"Ray in {self._name} {_AWAY} {_detail(answer)}".strip())
        return answer


def _job_path(name: str) -> str:
    return f"ray-jobs/{quote(name, safe='')}"


def _on(cluster: str | None) -> dict[str, str]:
    return {"cluster": cluster} if cluster else {}


def _detail(answer: httpx2.Response) -> str:
    try:
        body = answer.json()
    except ValueError:
        return ""
    return str(body.get("detail", "")) if isinstance(body, dict) else ""


def _model(model: type[M], data: object) -> M:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise UnavailableError(
            "The gateway answered in a form this portal does not know"
        ) from error
