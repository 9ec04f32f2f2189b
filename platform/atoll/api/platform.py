"""Routes about the platform itself: health, the caller, metrics."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Annotated

import httpx2
from fastapi import APIRouter, Depends, Request, Response

from atoll import __version__
from atoll.api.parameters import Cases
from atoll.api.problems import COMMON
from atoll.application.use_cases import UseCases
from atoll.auth import Caller, require
from atoll.contract.platform import NO_WORKER, Health, PartHealth, WhoAmI
from atoll.telemetry import metrics

router = APIRouter(tags=["platform"])
Reader = Annotated[Caller, Depends(require("platform:read"))]
_BELIEVED_SECONDS = 1.0


@dataclass
class HealthCheck:
    """Asks every part, at most once a second however often it is asked itself."""

    cases: UseCases
    gateway: httpx2.AsyncClient
    _at: float = -1e9
    _last: Health | None = None
    _lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def read(self) -> Health:
        """How the platform is now, or was within the last second."""
        async with self._lock:
            if self._last is None or time.monotonic() - self._at > _BELIEVED_SECONDS:
                self._last = await self._ask()
                self._at = time.monotonic()
            return self._last

    async def _ask(self) -> Health:
        dispatch = self.cases.dispatch
        queue, gateway, worked_on = await asyncio.gather(
            dispatch.alive(), self._ask_gateway(), dispatch.worked_on()
        )
        parts = {
            "kubernetes": _part(
                self.cases.feed.synced,
                "reads and writes fail until its API answers; we keep trying",
            ),
            "queue": _part(
                queue, "changes are accepted, and work on them starts some seconds later"
            ),
            "workers": _workers(worked_on),
            "gateway": _part(gateway, "Ray clusters, Ray jobs and kubectl are out of reach"),
        }
        status = "ok" if all(p.ok for p in parts.values()) else "degraded"
        return Health(status=status, version=__version__, parts=parts)

    async def _ask_gateway(self) -> bool:
        try:
            return (await self.gateway.get("/healthz", timeout=1.0)).is_success
        except httpx2.HTTPError:
            return False


def _workers(worked_on: bool | None) -> PartHealth:
    """A missing worker is no fault of the API, which goes on taking what people ask for."""
    if worked_on is None:
        return PartHealth(ok=False, message="not known: they are asked over the queue")
    if worked_on:
        return PartHealth(ok=True, message="at least one answers")
    return PartHealth(ok=False, message=f"none answers: {NO_WORKER}")


def _part(ok: bool, otherwise: str) -> PartHealth:
    return PartHealth(ok=ok, message="answers" if ok else f"does not answer: {otherwise}")


@router.get("/v1/health")
async def get_health(request: Request) -> Health:
    """How the platform is. Always 200 while the API runs; nobody is asked for a token here."""
    check: HealthCheck = request.app.state.health
    return await check.read()


@router.get("/v1/whoami", responses=COMMON)
async def get_whoami(caller: Reader, _: Cases) -> WhoAmI:
    """Who the API thinks you are."""
    return WhoAmI(name=caller.name, roles=sorted(caller.roles))


@router.get("/metrics", include_in_schema=False)
async def get_metrics() -> Response:
    """What this process counted, for Prometheus."""
    return Response(metrics.page(), media_type=metrics.CONTENT_TYPE)
