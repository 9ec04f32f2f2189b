"""Looks after teams' quotas for the life of an API process, level-triggered and safe to run several
times side by side: the history of what came past the API, conditions in words, approved requests that
nobody carried out. It runs here because only the API may write what a team is.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable

import structlog

from atoll.application.conditions import status_with
from atoll.application.nodes import read_extended_resources
from atoll.application.quota_grants import QuotaGrants
from atoll.application.quota_history import QuotaHistory, is_state_of
from atoll.application.validation import StoredInvalidError, stored
from atoll.cluster import kinds
from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import Kind
from atoll.cluster.quota_trees import tree_of
from atoll.domain.findings import Finding
from atoll.domain.team_conditions import findings
from atoll.errors import AtollError, StaleWriteError
from atoll.resources.quota_revisions import QuotaRevision
from atoll.resources.teams import Team

_LOOK_SECONDS = 60.0
"""A full look this often, also when nothing happened: nodes come and go without telling."""
_GATHER_SECONDS = 0.5
"""Changes within this time are looked at together."""

log = structlog.get_logger(__name__)


class QuotaKeeper:
    """`run()` is a task for the life of the process."""

    def __init__(self, cluster: Cluster, history: QuotaHistory, grants: QuotaGrants) -> None:
        self._cluster = cluster
        self._history = history
        self._grants = grants
        self._recorded: dict[str, int] = {}
        """Team uid -> the generation that was looked at last."""
        self._judged: dict[str, tuple[int, object]] = {}
        """Team uid -> what its conditions were judged by: generation and reserved."""
        self._latest: dict[str, QuotaRevision] = {}
        """Team uid -> its newest revision, as of the last list; spares a list for each team."""
        self._dirty = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(kinds.TEAM, self._team))
            group.create_task(self._follow(kinds.QUOTA_REQUEST, self._request))
            group.create_task(self._looks())

    async def _follow(self, kind: Kind, take: Callable[[Object], Awaitable[None]]) -> None:
        """List, then watch, for ever; after trouble again, with growing pauses up to 5 s."""
        pause = 0.2
        while True:
            try:
                self._latest = await self._history.latest()
                found, since = await self._cluster.items_at(kind)
                for item in found:
                    await take(item)
                pause = 0.2
                self._dirty.set()
                async for change, item in self._cluster.watch(kind, since=since):
                    if change == "DELETED":
                        self._dirty.set()
                    else:
                        await take(item)
            except AtollError as error:
                log.warning("quota-keeper.broken", kind=kind.kind, error=error.detail)
            except Exception:
                log.exception("quota-keeper.failed", kind=kind.kind)
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads, no secret
            pause = min(pause * 2, 5.0)

    async def _team(self, item: Object) -> None:
        """Each state of a team, in the order of the watch: what kubectl did is history too."""
        uid, generation = item["metadata"]["uid"], item["metadata"].get("generation", 0)
        reserved = (item.get("status") or {}).get("reserved")
        if self._judged.get(uid) != (generation, reserved):
            # Whoever writes the status for other reasons, as its use, gives no reason to look.
            self._judged[uid] = (generation, reserved)
            self._dirty.set()
        if self._recorded.get(uid) == generation:
            return
        latest = self._latest.pop(uid, None)
        if latest is None or not is_state_of(latest, item):
            await self._history.record(item)
        self._recorded[uid] = generation

    async def _request(self, item: Object) -> None:
        with contextlib.suppress(StoredInvalidError, StaleWriteError):
            await self._grants.apply(item)

    async def _looks(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._dirty.wait()
            await asyncio.sleep(_GATHER_SECONDS)
            self._dirty.clear()
            try:
                await self.look()
            except AtollError as error:
                log.warning("quota-keeper.look", error=error.detail)
            except Exception:
                log.exception("quota-keeper.look_failed")

    async def look(self) -> None:
        """One look at all teams and at the requests that are approved and not carried out."""
        teams = await self._cluster.items(kinds.TEAM)
        tree, known = tree_of(teams), await read_extended_resources(self._cluster)
        for team in teams:
            told = findings(tree, team["metadata"]["name"], _unreadable(team), known)
            await self._tell(team, told)
        there = {team["metadata"]["uid"] for team in teams}
        for gone in self._recorded.keys() - there:
            del self._recorded[gone]
            self._judged.pop(gone, None)
        for request in await self._cluster.items(kinds.QUOTA_REQUEST):
            await self._request(request)

    async def _tell(self, team: Object, told: list[Finding]) -> None:
        """Write the conditions when they say something new, or were judged of another generation.

        A team of which there has never been anything to say has none, and the generation alone.
        """
        old = {c["type"] for c in (team.get("status") or {}).get("conditions") or []}
        status = status_with(team, [f for f in told if not f.holds or f.type in old])
        if status is None:
            return
        with contextlib.suppress(StaleWriteError):  # the next look comes with that change
            await self._cluster.replace({**team, "status": status}, status=True)


def _unreadable(team: Object) -> str:
    try:
        stored(Team, team)
    except StoredInvalidError as error:
        return error.detail
    return ""
