"""The ledger of a team's quota, `Team.status.reservations`, changed by compare and set only.

Create:  note() -> write the virtual cluster -> settle(); undo() when the write fails.
Change:  note() -> write -> settle() with what is now wanted.
Delete:  release(), by the worker, when nothing is left.
Worker:  ensure() for a virtual cluster that came from elsewhere (kubectl apply); sweep().
"""

import asyncio
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Collection
from dataclasses import asdict
from typing import Any

from atoll.cluster import kinds
from atoll.cluster.client import Cluster, Object
from atoll.domain import quotas
from atoll.domain.quotas import Amounts
from atoll.errors import (
    FieldProblem,
    NotFoundError,
    QuotaExceededError,
    StaleWriteError,
    UnavailableError,
)

PATIENCE_SECONDS = 120.0
"""After this long a change that is still noted as under way has lost its writer and may be dropped."""
_TRY_SECONDS = 15.0

Entries = dict[str, dict[str, str]]
Change = Callable[[Entries, dict[str, str]], Awaitable[Entries]]


def limits_of(team: Object) -> dict[str, str]:
    """The limits of a team, by resource."""
    lines: dict[str, Any] = (team.get("spec") or {}).get("quota") or {}
    return {resource: str(line["limit"]) for resource, line in lines.items()}


def entries_of(team: Object) -> Entries:
    """The ledger of a team as it was read."""
    return dict((team.get("status") or {}).get("reservations") or {})


async def _change(cluster: Cluster, team: str, change: Change) -> Entries:
    """Read, change, write if nobody wrote in between; again until it works or 15 s are over."""
    deadline = time.monotonic() + _TRY_SECONDS
    pause = 0.01
    while True:
        found = await cluster.get(kinds.TEAM, team)
        before = entries_of(found)
        after = await change(dict(before), limits_of(found))
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
            "/spec/team" if s.resource == quotas.COUNTED else _pointer(s.resource),
            f"{s.asked} asked, {s.free} free",
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


def _pointer(resource: str) -> str:
    return "/spec/quota/" + resource.replace("~", "~0").replace("/", "~1")


def check(team: Object, virtual_cluster: str, quota: Amounts) -> None:
    """Raise QuotaExceededError when the team, as it was read, has not enough; writes nothing."""
    found = quotas.shortages(
        limits_of(team), entries_of(team), virtual_cluster, quotas.demand(quota)
    )
    if found:
        raise refuse(team["metadata"]["name"], found)


async def note(cluster: Cluster, team: str, virtual_cluster: str, quota: Amounts) -> str:
    """Reserve for a write that is about to happen; returns the key for settle() or undo().

    Raises QuotaExceededError, NotFoundError (no such team), UnavailableError.
    """
    key = f"{virtual_cluster}/{int(time.time())}-{secrets.token_hex(4)}"
    wanted = quotas.demand(quota)

    async def change(entries: Entries, limits: dict[str, str]) -> Entries:
        for old in quotas.expired_keys(entries, time.time(), PATIENCE_SECONDS):
            del entries[old]
        if found := quotas.shortages(limits, entries, virtual_cluster, wanted):
            raise refuse(team, found)
        return {**entries, key: wanted}

    await _change(cluster, team, change)
    return key


async def settle(cluster: Cluster, team: str, virtual_cluster: str, key: str) -> None:
    """The write that `key` was noted for happened: hold exactly what the spec says from now on.

    The spec is read after the ledger. So a change that is written later is either noted in the ledger
    that was read, or moves the ledger on and makes this one try again.
    """

    async def change(entries: Entries, _: dict[str, str]) -> Entries:
        entries.pop(key, None)
        wanted = await _demand_now(cluster, team, virtual_cluster)
        return {**entries, virtual_cluster: wanted} if wanted else entries

    await _change(cluster, team, change)


async def _demand_now(cluster: Cluster, team: str, virtual_cluster: str) -> dict[str, str] | None:
    """What the spec as it is stored now takes from this team; None when it takes nothing."""
    found = await cluster.find(kinds.VIRTUAL_CLUSTER, virtual_cluster)
    if found is None or found["spec"].get("team") != team:
        return None
    return quotas.demand({k: str(v) for k, v in (found["spec"].get("quota") or {}).items()})


async def undo(cluster: Cluster, team: str, key: str) -> None:
    """The write that `key` was noted for did not happen."""

    async def change(entries: Entries, _: dict[str, str]) -> Entries:
        return {k: v for k, v in entries.items() if k != key}

    await _change(cluster, team, change)


async def ensure(cluster: Cluster, team: str, virtual_cluster: str) -> None:
    """For the worker: the virtual cluster holds exactly what its stored spec says.

    Writes nothing when it does already. Raises QuotaExceededError (the ledger stays as it was),
    NotFoundError (no such team), UnavailableError.
    """

    async def change(entries: Entries, limits: dict[str, str]) -> Entries:
        wanted = await _demand_now(cluster, team, virtual_cluster)
        if wanted is None or entries.get(virtual_cluster) == wanted:
            return entries
        if found := quotas.shortages(limits, entries, virtual_cluster, wanted):
            raise refuse(team, found)
        return {**entries, virtual_cluster: wanted}

    await _change(cluster, team, change)


async def release(cluster: Cluster, team: str, virtual_cluster: str) -> None:
    """The virtual cluster is gone; give back what it held. A team that is gone is fine."""

    async def change(entries: Entries, _: dict[str, str]) -> Entries:
        return {k: v for k, v in entries.items() if k != virtual_cluster}

    try:
        await _change(cluster, team, change)
    except NotFoundError:
        return


async def sweep(cluster: Cluster, team: str, existing: Collection[str]) -> list[str]:
    """For the sweeper: drop entries of virtual clusters that do not exist; returns their keys.

    `existing` may be old; each suspect is looked up again. Settled entries are written after their
    virtual cluster, so one without is left over; noted ones get PATIENCE_SECONDS. Compare and set on
    what was read before looking: a change in between means nothing is dropped until the next sweep.
    """
    found = await cluster.get(kinds.TEAM, team)
    entries = entries_of(found)
    gone = set(quotas.expired_keys(entries, time.time(), PATIENCE_SECONDS))
    for key in set(entries) - gone - set(existing):
        settled = quotas.pending_since(key) is None
        if settled and await cluster.find(kinds.VIRTUAL_CLUSTER, key) is None:
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
