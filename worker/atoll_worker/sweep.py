"""Finds work that no hint told of, level-triggered.

It keeps its own picture of all virtual clusters by a watch, so an idle platform costs the API server
nothing. A virtual cluster that is not converged is hinted at again and again, faster in the beginning;
a converged one once per resync. Losing Redis, a hint, or a worker therefore costs seconds, never work.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

import structlog

from atoll.cluster import leases, reservations
from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import TEAM, VIRTUAL_CLUSTER
from atoll.cluster.quota_trees import share_of, tree_of
from atoll.dispatch import Dispatch
from atoll.errors import AtollError
from atoll.resources.virtual_clusters import VirtualCluster
from atoll.settings import Settings
from atoll.telemetry import worker_metrics
from atoll.telemetry.whose import of_virtual_cluster
from atoll_worker.malformed import MALFORMED, Complaints, not_before
from atoll_worker.reconcile import unreadable
from atoll_worker.usage import Usage

log = structlog.get_logger()
_LEAVING, _FAST, _SLOW, _PATIENCE = 0.7, 1.5, 5.0, 120.0
"""Seconds between hints. What comes up is waited for with a core that is busy bringing it up, and a look
asks some fifty questions; a deletion is many short waits one after another.
"""
_CONFIRM_SECONDS = 1.0
_LEFT_OVER_SECONDS = 60.0


@dataclass(frozen=True)
class State:
    """What decides when a virtual cluster is looked at."""

    generation: int
    converged: bool
    at_rest: bool
    """Nothing is to be done before the resync: converged, or said to be unreadable."""
    retry_at: str | None = None
    """When to try again what failed, for the present generation."""
    team: str = ""
    leaving: bool = False
    """Its deletion was asked for."""


def state_of(item: Object) -> State:
    """The state of a stored virtual cluster, readable or not. Pure."""
    generation = item["metadata"].get("generation", 0)
    spec = item.get("spec")
    team = str(spec.get("team", "")) if isinstance(spec, Mapping) else ""
    leaving = bool(item["metadata"].get("deletionTimestamp"))
    try:
        vc = VirtualCluster.model_validate(item)
    except ValueError:
        return State(generation, False, _told(item), team=team, leaving=leaving)
    fresh = vc.status.observed_generation == generation
    retry_at = vc.status.retry_at if fresh else None
    return State(generation, vc.converged, vc.converged, retry_at, team, leaving)


def _told(item: Object) -> bool:
    """Whether its status says that it is unreadable; one that cannot be read either does not."""
    try:
        return unreadable.already_told(item)
    except MALFORMED:
        return False


@dataclass
class Known:
    """A virtual cluster and when we last hinted at it (seconds of the loop's clock)."""

    state: State
    since: float
    hinted: float = field(default=-1e9)
    version: str = ""
    """resourceVersion of what was learnt last."""


def pause(age: float, leaving: bool) -> float:
    """Seconds between two hints at one that is not converged, by how long it has been so."""
    if age >= _PATIENCE:
        return _SLOW
    return _LEAVING if leaving else _FAST


def due(known: Known, now: float, wall: datetime, resync: float) -> bool:
    """Whether it should be looked at now. Pure."""
    state = known.state
    if state.at_rest:
        return now - known.hinted >= resync
    if state.retry_at and not_before(state.retry_at) > wall:
        return False
    return now - known.hinted >= pause(now - known.since, state.leaving)


class Sweeper:
    """Holds the picture and sends the hints."""

    def __init__(self, host: Cluster, dispatch: Dispatch, settings: Settings) -> None:
        self._host, self._dispatch, self._settings = host, dispatch, settings
        self._known: dict[str, Known] = {}
        self._usage = Usage(host, self._hint)
        self._odd = Complaints("sweep.unreadable")
        self._odd_teams = Complaints("sweep.team_unreadable")

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._picture())
            group.create_task(self._hints())
            group.create_task(self._left_over())
            group.create_task(self._usage.run())

    async def _picture(self) -> None:
        while True:
            try:
                await self._picture_once()
            except AtollError as error:
                log.debug("sweep.watch", detail=error.detail)
            except Exception:
                log.exception("sweep.watch_failed")
            await asyncio.sleep(1)

    async def _picture_once(self) -> None:
        found, revision = await self._host.items_at(VIRTUAL_CLUSTER)
        names = {item["metadata"]["name"] for item in found}
        for gone in set(self._known) - names:
            del self._known[gone]
            self._usage.forget(gone)
        for item in found:
            self._learn_safely("MODIFIED", item)
        async for change, item in self._host.watch(VIRTUAL_CLUSTER, since=revision):
            self._learn_safely(change, item)

    def _learn_safely(self, change: str, item: Object) -> None:
        """One that cannot be read keeps what was known of it, and the others are learnt."""
        name = item["metadata"]["name"]
        try:
            self._learn(change, item)
        except MALFORMED as error:
            self._odd.tell(name, error, **of_virtual_cluster(item))
        else:
            self._odd.settle(name)

    def _learn(self, change: str, item: Object) -> None:
        name = item["metadata"]["name"]
        if change == "DELETED":
            self._known.pop(name, None)
            self._usage.forget(name)
            return
        self._usage.learn(item)
        state, now = state_of(item), asyncio.get_running_loop().time()
        version = item["metadata"].get("resourceVersion", "")
        old = self._known.get(name)
        if old is None:
            # One at rest that we meet for the first time is not due at once: after a restart of
            # the sweeper a thousand of them must not be looked at in one go.
            hinted = now - self._settings.resync_seconds * (hash(name) % 100) / 100
            self._known[name] = Known(state, now, hinted if state.at_rest else -1e9, version)
            return
        if old.state.at_rest != state.at_rest or old.state.generation != state.generation:
            old.since = now
        if state.at_rest and version != old.version:  # all are told anew when the watch was cut
            # Whoever wrote it had read the world before, and a hint that came meanwhile met a writer at
            # work and is gone. One more look sees what changed in between; it writes nothing otherwise.
            old.hinted = now - self._settings.resync_seconds + _CONFIRM_SECONDS
        old.state, old.version = state, version

    async def _hints(self) -> None:
        while True:
            now, wall = asyncio.get_running_loop().time(), datetime.now(UTC)
            open_work = 0
            for name, known in list(self._known.items()):
                open_work += not known.state.converged
                if due(known, now, wall, self._settings.resync_seconds):
                    known.hinted = now
                    await self._hint(name)
            worker_metrics.unconverged(open_work)
            await asyncio.sleep(0.25 if open_work else self._settings.sweep_seconds / 4)

    async def _hint(self, name: str) -> None:
        if known := self._known.get(name):
            worker_metrics.hint("sweep")
            await self._dispatch.send("VirtualCluster", name, known.state.generation)

    async def _sweep_ledgers(self, teams: list[Object]) -> None:
        """A team whose ledger cannot be read keeps it as it is."""
        sound = self._odd_teams.sound_teams(teams, share_of)
        tree = tree_of(sound)
        homes = {name: tree.chain_names(known.state.team) for name, known in self._known.items()}
        for name in (team["metadata"]["name"] for team in sound):
            below = {vc for vc, home in homes.items() if name in home}
            await reservations.sweep(self._host, name, below)

    async def _left_over(self) -> None:
        """Take away what virtual clusters that are gone have left: quota they hold, and leases."""
        while True:
            await asyncio.sleep(_LEFT_OVER_SECONDS)
            with contextlib.suppress(AtollError):
                await self._sweep_ledgers(await self._host.items(TEAM))
                dropped = await leases.sweep(self._host, self._settings.namespace, set(self._known))
                if dropped:
                    log.info("sweep.leases", virtual_clusters=dropped)
