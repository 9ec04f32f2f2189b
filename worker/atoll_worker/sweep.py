"""Finds work that no hint told of, level-triggered.

It keeps its own picture of all virtual clusters by a watch, so an idle platform costs the API server
nothing. A virtual cluster that is not converged is hinted at again and again, faster in the beginning;
a converged one once per resync. Losing Redis, a hint, or a worker therefore costs seconds, never work.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from atoll.cluster import reservations
from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import TEAM, VIRTUAL_CLUSTER
from atoll.dispatch import Dispatch
from atoll.errors import AtollError
from atoll.resources.virtual_clusters import VirtualCluster
from atoll.settings import Settings
from atoll.telemetry import worker_metrics

log = structlog.get_logger()
_FAST, _SLOW, _PATIENCE = 0.7, 5.0, 120.0
_LEDGER_SECONDS = 60.0


@dataclass
class Known:
    """A virtual cluster and when we last hinted at it (seconds of the loop's clock)."""

    vc: VirtualCluster
    since: float
    hinted: float = field(default=-1e9)


def pause(age: float) -> float:
    """Seconds between two hints at one that is not converged, by how long it has been so."""
    return _FAST if age < _PATIENCE else _SLOW


def due(known: Known, now: float, wall: datetime, resync: float) -> bool:
    """Whether it should be looked at now. Pure."""
    vc = known.vc
    if vc.converged:
        return now - known.hinted >= resync
    retry = vc.status.retry_at
    fresh = vc.status.observed_generation == vc.metadata.generation
    if retry and fresh and datetime.fromisoformat(retry) > wall:
        return False
    return now - known.hinted >= pause(now - known.since)


class Sweeper:
    """Holds the picture and sends the hints."""

    def __init__(self, host: Cluster, dispatch: Dispatch, settings: Settings) -> None:
        self._host, self._dispatch, self._settings = host, dispatch, settings
        self._known: dict[str, Known] = {}

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._picture())
            group.create_task(self._hints())
            group.create_task(self._ledgers())

    async def _picture(self) -> None:
        while True:
            with contextlib.suppress(AtollError):
                found, revision = await self._host.items_at(VIRTUAL_CLUSTER)
                names = {item["metadata"]["name"] for item in found}
                for gone in set(self._known) - names:
                    del self._known[gone]
                for item in found:
                    self._learn("MODIFIED", item)
                async for change, item in self._host.watch(VIRTUAL_CLUSTER, since=revision):
                    self._learn(change, item)
            await asyncio.sleep(1)

    def _learn(self, change: str, item: Object) -> None:
        name = item["metadata"]["name"]
        if change == "DELETED":
            self._known.pop(name, None)
            return
        try:
            vc = VirtualCluster.model_validate(item)
        except ValueError:
            log.warning("sweep.unreadable", virtual_cluster=name)
            return
        now = asyncio.get_running_loop().time()
        old = self._known.get(name)
        if old is None:
            # A converged one that we meet for the first time is not due at once: after a restart of
            # the sweeper a thousand of them must not be looked at in one go.
            hinted = now - self._settings.resync_seconds * (hash(name) % 100) / 100
            self._known[name] = Known(vc, now, hinted if vc.converged else -1e9)
            return
        if old.vc.converged != vc.converged or old.vc.metadata.generation != vc.metadata.generation:
            old.since = now
        if vc.converged and not old.vc.converged:
            old.hinted = now
        old.vc = vc

    async def _hints(self) -> None:
        while True:
            now, wall = asyncio.get_running_loop().time(), datetime.now(UTC)
            open_work = 0
            for name, known in list(self._known.items()):
                open_work += not known.vc.converged
                if due(known, now, wall, self._settings.resync_seconds):
                    known.hinted = now
                    worker_metrics.hint("sweep")
                    await self._dispatch.send("VirtualCluster", name, known.vc.metadata.generation)
            worker_metrics.unconverged(open_work)
            await asyncio.sleep(0.25 if open_work else self._settings.sweep_seconds / 4)

    async def _ledgers(self) -> None:
        """Give back what virtual clusters that are gone still hold of their team's quota."""
        while True:
            await asyncio.sleep(_LEDGER_SECONDS)
            with contextlib.suppress(AtollError):
                for team in await self._host.items(TEAM):
                    await reservations.sweep(self._host, team["metadata"]["name"], set(self._known))
