"""Use of each team, summed up from its virtual clusters: into the team's status and into metrics.

Kept by the sweeper, which has a picture of all virtual clusters and is the only process of its kind.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass

import structlog

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import TEAM
from atoll.cluster.quota_trees import limits_of, tree_of
from atoll.domain.quantities import add_quantities, parse_quantity
from atoll.domain.quota_tree import QuotaTree
from atoll.domain.quotas import COUNTED, amount_text, held_by_owner
from atoll.errors import AtollError, StaleWriteError
from atoll.telemetry import worker_metrics
from atoll_worker.malformed import Complaints

log = structlog.get_logger()
PACE_SECONDS = 1.0
"""Least time between two writes of the same team's status."""


@dataclass(frozen=True)
class Holding:
    """What counts of a virtual cluster: amounts by resource."""

    team: str
    quota: Mapping[str, str]
    used: Mapping[str, str]
    free: Mapping[str, str]


Holdings = Mapping[str, Holding]
"""By the virtual cluster's name."""


class Usage:
    """Follows teams, and is told of virtual clusters.

    `hint` asks for a look at one by name, for when its team's limits or guarantees have changed.
    """

    def __init__(self, host: Cluster, hint: Callable[[str], Awaitable[None]]) -> None:
        self._host, self._hint = host, hint
        self._teams: dict[str, Object] = {}
        self._held: dict[str, Holding] = {}
        self._moved = asyncio.Event()
        self._odd_teams = Complaints("usage.team_unreadable")

    def learn(self, item: Object) -> None:
        """A virtual cluster as it is stored."""
        name, holding = item["metadata"]["name"], holding_of(item)
        if self._held.get(name) != holding:
            self._held[name] = holding
            self._moved.set()

    def forget(self, name: str) -> None:
        """It is gone."""
        self._held.pop(name, None)
        self._moved.set()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow())
            group.create_task(self._sum_up())

    async def _follow(self) -> None:
        while True:
            try:
                await self._follow_once()
            except AtollError as error:
                log.debug("usage.watch", detail=error.detail)
            except Exception:
                log.exception("usage.watch_failed")
            await asyncio.sleep(1)

    async def _follow_once(self) -> None:
        found, revision = await self._host.items_at(TEAM)
        self._teams = {item["metadata"]["name"]: item for item in found}
        self._moved.set()
        async for change, item in self._host.watch(TEAM, since=revision):
            await self._learn(change, item)

    async def _learn(self, change: str, item: Object) -> None:
        name = item["metadata"]["name"]
        before = self._teams.pop(name, None)
        if change != "DELETED":
            self._teams[name] = item
        self._moved.set()
        spoken = before is not None and before.get("spec") != item.get("spec")
        if spoken and change != "DELETED":
            for virtual_cluster, holding in list(self._held.items()):
                if holding.team == name:
                    await self._hint(virtual_cluster)

    async def _sum_up(self) -> None:
        while True:
            await self._moved.wait()
            self._moved.clear()
            held, teams = dict(self._held), list(self._teams.values())
            tree = tree_of(teams := self._sound_teams(teams))
            worker_metrics.quotas(gauges(teams, held))
            for team in teams:
                await self._settle(team, held, tree)
            await asyncio.sleep(PACE_SECONDS)

    def _sound_teams(self, teams: list[Object]) -> list[Object]:
        """Those whose figures can be told; of the others, once, what is wrong."""
        return self._odd_teams.sound_teams(teams, lambda team: gauges([team], {}))

    async def _settle(self, team: Object, held: Holdings, tree: QuotaTree) -> None:
        """Compare and set; whoever wrote in between moves the watch on, and we come again."""
        status = team.get("status") or {}
        wanted = totals(team, held, tree)
        if all(status.get(key, {}) == value for key, value in wanted.items()):
            return
        with contextlib.suppress(StaleWriteError, AtollError):
            await self._host.replace({**team, "status": {**status, **wanted}}, status=True)


def holding_of(item: Object) -> Holding:
    """What counts of a stored virtual cluster, readable or not. Pure."""
    spec, status = item.get("spec") or {}, item.get("status") or {}
    if not (isinstance(spec, Mapping) and isinstance(status, Mapping)):
        return Holding("None", {}, {}, {})
    used, free = _sound(status.get("used")), _sound(status.get("free"))
    return Holding(str(spec.get("team")), _sound(spec.get("quota")), used, free)


def totals(team: Object, held: Holdings, tree: QuotaTree) -> dict[str, dict[str, str]]:
    """`used` and `free` of a team. Used: the sum over the virtual clusters of it and of the teams below
    it, as with what is reserved, each counting as one of `virtualclusters`. Free: what it can still
    reserve, which an ancestor may bind. Pure.
    """
    name = team["metadata"]["name"]
    teams = {name, *(share.name for share in tree.below(name))}
    mine = [holding for holding in held.values() if holding.team in teams]
    used = add_quantities(*(_sound(one.used) for one in mine), {COUNTED: str(len(mine))})
    limits = limits_of(team)
    room = sorted(tree.room(name).items())
    return {
        "used": {r: a for r, a in used.items() if not limits or r in limits},
        "free": {resource: amount_text(resource, left.free) for resource, left in room},
    }


def gauges(teams: Iterable[Object], held: Holdings) -> dict[tuple[str, str, str, str], float]:
    """(what, team, virtual cluster or "", resource) -> amount in base units. Pure."""
    found: dict[tuple[str, str, str, str], float] = {}

    def tell(what: str, team: str, name: str, amounts: Mapping[str, str]) -> None:
        for resource, amount in _sound(amounts).items():
            found[what, team, name, resource] = float(parse_quantity(amount))

    known = list(teams)
    tree = tree_of(known)
    for team in known:
        name, status = team["metadata"]["name"], team.get("status") or {}
        tell("limit", name, "", limits_of(team))
        tell("reserved", name, "", status.get("reserved") or {})
        summed = totals(team, held, tree)
        tell("used", name, "", summed["used"])
        tell("free", name, "", summed["free"])
        for holder, amounts in held_by_owner(status.get("reservations") or {}).items():
            if holder in held and held[holder].team != name:
                continue  # it stands in the ledger of each ancestor, and is told of its own team
            tell("reserved", name, holder, {r: str(a) for r, a in amounts.items()})
    for name, holding in held.items():
        tell("limit", holding.team, name, holding.quota)
        tell("used", holding.team, name, holding.used)
        tell("free", holding.team, name, holding.free)
    return found


def _sound(amounts: object) -> dict[str, str]:
    """Without what is no quantity: kubectl can store anything, and a sum must not die of it."""
    sound: dict[str, str] = {}
    if not isinstance(amounts, Mapping):
        return sound
    for resource, amount in amounts.items():
        with contextlib.suppress(ValueError):
            parse_quantity(str(amount))
            sound[resource] = str(amount)
    return sound
