"""The ledgers of a team's quota, `Team.status.reservations`, changed by compare and set only.

What a virtual cluster holds stands in the ledger of its team and of every ancestor. It is noted from the
root down and given back from the team up, so whoever reads a team's own entry may take it that the
ancestors have theirs; a writer that dies in between leaves notes that expire, or entries that `sweep`
drops (decision 0018).

Create:  note() -> write the virtual cluster -> settle(); undo() when the write fails.
Change:  note() -> write -> settle() with what is now wanted.
Delete:  release(), by the worker, when nothing is left.
Worker:  ensure() for a virtual cluster that came from elsewhere (kubectl apply); sweep().
"""

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace

from atoll.cluster import kinds
from atoll.cluster.client import Cluster, Object
from atoll.cluster.quota_trees import (
    Entries,
    entries_of,
    limits_of,
    read_chain,
    read_known_chain,
    read_tree,
    share_of,
    tree_of,
)
from atoll.domain import quotas
from atoll.domain.quota_rules import pointer
from atoll.domain.quota_tree import BrokenTreeError, QuotaTree, effective_limits
from atoll.domain.quotas import Amounts
from atoll.errors import (
    AtollError,
    FieldProblem,
    NotFoundError,
    QuotaExceededError,
    StaleWriteError,
    UnavailableError,
)

PATIENCE_SECONDS = 120.0
"""After this long a change that is still noted as under way has lost its writer and may be dropped."""
_TRY_SECONDS = 15.0

Change = Callable[[Entries, Object], Awaitable[Entries]]


class _MovedError(Exception):
    """A team of the chain has another parent than when the chain was read."""


async def _change(cluster: Cluster, team: str, change: Change) -> Entries:
    """Read, change, write if nobody wrote in between; again until it works or 15 s are over."""
    deadline = time.monotonic() + _TRY_SECONDS
    pause = 0.01
    while True:
        found = await cluster.get(kinds.TEAM, team)
        before = entries_of(found)
        after = await change(dict(before), found)
        if after == before:
            return after
        status = {**(found.get("status") or {})}
        status |= {"reservations": after, "reserved": quotas.reserved(after)}
        try:
            await cluster.replace({**found, "status": status}, status=True)
        except StaleWriteError as error:
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"Many changes of the quota of team {team!r} at once; try again in a moment"
                ) from error
        else:
            return after
        await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - spreads writers, no secret
        pause = min(pause * 2, 0.5)


def refuse(team: str, found: list[quotas.Shortage]) -> QuotaExceededError:
    """The error for these shortages, with every number a person needs."""
    fields = tuple(
        FieldProblem(
            "/spec/team" if s.resource == quotas.COUNTED else pointer(s.resource),
            f"{s.asked} asked, {s.free} free"
            + (f" in the parent team {s.team!r}" if s.team else ""),
            s.limit,
        )
        for s in found
    )
    return QuotaExceededError(
        f"Team {team!r} does not have enough left: {quotas.describe(found)}. Ask for less, shrink or "
        "delete a virtual cluster, or ask an admin to raise the quota.",
        fields=fields,
        extra={"team": team, "shortages": [asdict(s) for s in found]},
    )


@dataclass(frozen=True)
class _Level:
    """One team of a chain at which something is to be reserved."""

    team: str
    parent: str | None
    way: tuple[str, ...]
    """From the team below it down to the one that asks; empty for that one itself."""


def _levels(tree: QuotaTree, team: str) -> list[_Level]:
    """The chain of a team, root first. NotFoundError, BrokenTreeError."""
    if tree.find(team) is None:
        raise NotFoundError(f"Team {team}: not found")
    chain = tree.chain(team)[::-1]
    names = tuple(share.name for share in chain)
    return [_Level(s.name, s.parent, names[i + 1 :]) for i, s in enumerate(chain)]


def _short(
    tree: QuotaTree, level: _Level, found: Object, owner: str, wanted: Amounts
) -> list[quotas.Shortage]:
    """What is short at one level; names of holders are left out where they are others' business."""
    short = quotas.shortages(
        limits_of(found), entries_of(found), owner, wanted, tree.kept(level.team, level.way)
    )
    if not level.way:
        return short
    return [replace(s, team=level.team, held={}) for s in short]


async def check(cluster: Cluster, team: str, virtual_cluster: str, quota: Amounts) -> None:
    """Raise QuotaExceededError when the team or an ancestor has not enough; writes nothing."""
    teams = {t["metadata"]["name"]: t for t in await cluster.items(kinds.TEAM)}
    tree, wanted = tree_of(teams.values()), quotas.demand(quota)
    short = [
        s
        for level in _levels(tree, team)
        for s in _short(tree, level, teams[level.team], virtual_cluster, wanted)
    ]
    if short:
        raise refuse(team, short)


async def note(cluster: Cluster, team: str, virtual_cluster: str, quota: Amounts) -> str:
    """Reserve for a write that is about to happen; returns the key for settle() or undo().

    Raises QuotaExceededError, NotFoundError (no such team), BrokenTreeError, UnavailableError; nothing
    stays reserved then.
    """
    key = f"{virtual_cluster}/{int(time.time())}-{secrets.token_hex(4)}"
    wanted = quotas.demand(quota)
    deadline = time.monotonic() + _TRY_SECONDS
    while True:
        tree = await read_tree(cluster)
        done: list[str] = []
        try:
            for level in _levels(tree, team):
                done.append(level.team)
                await _note_at(cluster, tree, level, team, key, wanted)
            return key
        except _MovedError as error:
            await _forget(cluster, done, key)
            if time.monotonic() > deadline:
                raise UnavailableError(
                    f"The ancestors of team {team!r} change just now; try again in a moment"
                ) from error
        except BaseException:  # also a cancelled request must not keep its share
            await asyncio.shield(_forget(cluster, done, key))
            raise


async def _note_at(
    cluster: Cluster, tree: QuotaTree, level: _Level, team: str, key: str, wanted: dict[str, str]
) -> None:
    owner = quotas.owner_of(key)

    async def change(entries: Entries, found: Object) -> Entries:
        if ((found.get("spec") or {}).get("parent") or None) != level.parent:
            raise _MovedError
        for old in quotas.expired_keys(entries, time.time(), PATIENCE_SECONDS):
            del entries[old]
        now = {**found, "status": {**(found.get("status") or {}), "reservations": entries}}
        # What is kept for guarantees is read after this ledger: who gives back does so from the team
        # up, so nothing is free here that is not yet kept there.
        fresh = await read_tree(cluster) if tree.children(level.team) else tree
        if fresh.find(level.team) is None:
            raise _MovedError
        if short := _short(fresh, level, now, owner, wanted):
            raise refuse(team, short)
        return {**entries, key: wanted}

    await _change(cluster, level.team, change)


async def _forget(cluster: Cluster, teams: Sequence[str], key: str) -> None:
    """Drop an entry, from the team up; what cannot be reached now expires by itself."""

    async def change(entries: Entries, _: Object) -> Entries:
        return {k: v for k, v in entries.items() if k != key}

    for team in reversed(teams):
        with contextlib.suppress(AtollError):
            await _change(cluster, team, change)


async def settle(cluster: Cluster, team: str, virtual_cluster: str, key: str) -> None:
    """The write that `key` was noted for happened: hold exactly what the spec says from now on.

    The spec is read after the ledger. So a change that is written later is either noted in the ledger
    that was read, or moves the ledger on and makes this one try again.
    """

    async def change(entries: Entries, _: Object) -> Entries:
        entries.pop(key, None)
        wanted = await _demand_now(cluster, team, virtual_cluster)
        return {**entries, virtual_cluster: wanted} if wanted else entries

    for found in reversed(await read_chain(cluster, team)):
        await _change(cluster, found["metadata"]["name"], change)


async def _demand_now(cluster: Cluster, team: str, virtual_cluster: str) -> dict[str, str] | None:
    """What the spec as it is stored now takes from this team; None when it takes nothing."""
    found = await cluster.find(kinds.VIRTUAL_CLUSTER, virtual_cluster)
    if found is None or found["spec"].get("team") != team:
        return None
    return quotas.demand({k: str(v) for k, v in (found["spec"].get("quota") or {}).items()})


async def undo(cluster: Cluster, team: str, key: str) -> None:
    """The write that `key` was noted for did not happen."""
    chain = [found["metadata"]["name"] for found in await read_known_chain(cluster, team)]
    await _forget(cluster, chain[::-1], key)


@dataclass(frozen=True)
class Held:
    """What a virtual cluster holds, as the ledgers of its team and of the ancestors say."""

    amounts: dict[str, str] | None
    """As all of them say; None when one of them has no entry or says otherwise."""
    anywhere: bool
    """Whether any of them has an entry."""
    limits: dict[str, str]
    """The smallest limit of each resource on the way."""
    broken: str = ""
    """Why the ancestors cannot be followed to a root, in words."""


async def held(cluster: Cluster, team: str, virtual_cluster: str) -> Held:
    """What it holds; nothing when there is no such team."""
    chain = await read_known_chain(cluster, team)
    own = [entries_of(found).get(virtual_cluster) for found in chain]
    same = own[0] if own and all(entry == own[0] for entry in own) else None
    limits, broken = effective_limits(share_of(found) for found in chain), ""
    try:
        if chain:
            tree_of(chain).chain(team)
    except BrokenTreeError as error:
        broken = error.detail
    return Held(same, any(entry is not None for entry in own), limits, broken)


async def ensure(cluster: Cluster, team: str, virtual_cluster: str) -> None:
    """For the worker: the virtual cluster holds exactly what its stored spec says, at every level.

    Writes nothing when it does already. Raises QuotaExceededError (the ledgers stay as they were),
    NotFoundError (no such team), BrokenTreeError, UnavailableError.
    """
    wanted = await _demand_now(cluster, team, virtual_cluster)
    if wanted is None:
        return
    if not await read_known_chain(cluster, team):
        raise NotFoundError(f"Team {team}: not found")
    if (await held(cluster, team, virtual_cluster)).amounts == wanted:
        return
    key = await note(cluster, team, virtual_cluster, wanted)
    await settle(cluster, team, virtual_cluster, key)


async def release(cluster: Cluster, team: str, virtual_cluster: str) -> None:
    """The virtual cluster is gone; give back what it held. A team that is gone is fine.

    From the team up: what a sibling may then take was free below before it is free above.
    """

    async def change(entries: Entries, _: Object) -> Entries:
        return {k: v for k, v in entries.items() if k != virtual_cluster}

    for found in await read_known_chain(cluster, team):
        with contextlib.suppress(NotFoundError):
            await _change(cluster, found["metadata"]["name"], change)


async def sweep(cluster: Cluster, team: str, existing: Collection[str]) -> list[str]:
    """For the sweeper: drop entries that belong to no virtual cluster of this team or below it.

    Returns their keys. `existing` are the virtual clusters thought to belong; each other one is looked
    up. Settled entries are written after their virtual cluster, so one without is left over; noted ones
    get PATIENCE_SECONDS. Compare and set on what was read before looking: a change in between means
    nothing is dropped until the next sweep.
    """
    found = await cluster.get(kinds.TEAM, team)
    entries = entries_of(found)
    gone = set(quotas.expired_keys(entries, time.time(), PATIENCE_SECONDS))
    for key in set(entries) - gone - set(existing):
        settled = quotas.pending_since(key) is None
        if settled and not await _belongs(cluster, team, key):
            gone.add(key)
    if not gone:
        return []
    left = {k: v for k, v in entries.items() if k not in gone}
    status = {
        **(found.get("status") or {}),
        "reservations": left,
        "reserved": quotas.reserved(left),
    }
    try:
        await cluster.replace({**found, "status": status}, status=True)
    except StaleWriteError:
        return []
    return sorted(gone)


async def _belongs(cluster: Cluster, team: str, virtual_cluster: str) -> bool:
    """Whether it is there, and its team is this one or below it."""
    found = await cluster.find(kinds.VIRTUAL_CLUSTER, virtual_cluster)
    if found is None:
        return False
    chain = await read_known_chain(cluster, found["spec"].get("team", ""))
    return any(above["metadata"]["name"] == team for above in chain)
