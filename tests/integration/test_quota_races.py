"""Changes of quotas at once, by writers that do not know each other: the rules of the tree hold."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from atoll.application.callers import Caller
from atoll.application.quota_changes import QuotaChanges
from atoll.application.quota_history import QuotaHistory
from atoll.application.quotas import Quotas
from atoll.application.teams import Teams
from atoll.cluster import kinds, tree_changes
from atoll.cluster.client import Cluster
from atoll.cluster.quota_trees import read_tree
from atoll.contract.quotas import QuotaWrite
from atoll.contract.teams import TeamCreate
from atoll.domain.quota_rules import tree_problems
from atoll.errors import InvalidError, UnavailableError

ADMIN = Caller("admin", frozenset({"admin"}))
CHILDREN = 6


def quota(limit: int, guaranteed: int) -> dict[str, Any]:
    return {"cpu": {"limit": str(limit), "guaranteed": str(guaranteed)}}


def team(name: str, lines: dict[str, Any], parent: str | None = None) -> dict[str, Any]:
    spec = {"quota": lines} | ({"parent": parent} if parent else {})
    meta = {"name": name}
    return {"apiVersion": "atoll.dev/v1alpha1", "kind": "Team", "metadata": meta, "spec": spec}


@pytest.fixture
async def cluster(api_server: Path) -> AsyncIterator[Cluster]:
    async with Cluster.from_file(api_server) as made:
        yield made


def quotas(cluster: Cluster) -> Quotas:
    history = QuotaHistory(cluster)
    return Quotas(cluster, QuotaChanges(cluster, history), history)


async def noted(cluster: Cluster, name: str) -> str:
    """The change that is noted on a root."""
    status = (await cluster.get(kinds.TEAM, name)).get("status") or {}
    return str(status.get("changing") or "")


async def write(cluster: Cluster, name: str, lines: dict[str, Any]) -> bool:
    """Whether the rules let it in; a busy tree is neither and not what is tested."""
    wanted = QuotaWrite.model_validate({"quota": lines})
    try:
        await quotas(cluster).put(ADMIN, name, wanted, expected=None)
    except (InvalidError, UnavailableError):
        return False
    return True


async def test_fifty_changes_at_once_never_promise_more_than_the_parent_has(
    cluster: Cluster, api_server: Path
) -> None:
    await cluster.create(team("promising", quota(20, 20)))
    names = [f"promised-{at}" for at in range(CHILDREN)]
    for name in names:
        await cluster.create(team(name, quota(10, 0), "promising"))
    random, broken, done = Random(7), [], asyncio.Event()

    async def look() -> None:
        while not done.is_set():
            broken.extend(tree_problems(await read_tree(cluster), "promising"))
            await asyncio.sleep(0)

    async def one(at: int) -> bool:
        async with Cluster.from_file(api_server) as own:
            if at % 10 == 9:
                return await write(own, "promising", quota(20, random.randint(8, 20)))
            return await write(own, names[at % CHILDREN], quota(10, random.randint(3, 8)))

    looking = asyncio.create_task(look())
    written = await asyncio.gather(*(one(at) for at in range(50)))
    done.set()
    await looking
    assert broken == []
    assert tree_problems(await read_tree(cluster), "promising") == []
    assert any(written)
    assert not all(written)
    assert not await noted(cluster, "promising")


async def test_children_that_are_made_at_once_share_what_is_promised(
    cluster: Cluster, api_server: Path
) -> None:
    await cluster.create(team("founding", quota(8, 8)))

    async def one(at: int) -> bool:
        async with Cluster.from_file(api_server) as own:
            teams = Teams(own, QuotaChanges(own, QuotaHistory(own)))
            spec = {"parent": "founding", "quota": quota(3, 3)}
            wanted = TeamCreate.model_validate({"name": f"founded-{at}", "spec": spec})
            try:
                await teams.create(ADMIN, wanted)
            except (InvalidError, UnavailableError):
                return False
            return True

    made = await asyncio.gather(*(one(at) for at in range(12)))
    assert 1 <= sum(made) <= 2
    assert tree_problems(await read_tree(cluster), "founding") == []


async def test_who_holds_the_tree_is_waited_for_and_one_that_died_is_not(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cluster.create(team("held", quota(4, 4)))
    await cluster.create(team("holding", quota(4, 0), "held"))
    now, lost = int(time.time()), int(time.time() - tree_changes.LOST_SECONDS - 1)

    async def note(since: int) -> None:
        # A merge patch: a keeper of quotas may be writing conditions at this moment.
        change = {"status": {"changing": f"{since}-else"}}
        await cluster.patch(kinds.TEAM, "held", change, status=True)

    await note(now)
    wanted = QuotaWrite.model_validate({"quota": quota(4, 1)})
    with monkeypatch.context() as hurried:
        hurried.setattr(tree_changes, "_WAIT_SECONDS", 0.0)
        with pytest.raises(UnavailableError, match="Other changes of quotas in the tree"):
            await quotas(cluster).put(ADMIN, "holding", wanted, expected=None)
    assert await noted(cluster, "held") == f"{now}-else"
    await note(lost)
    assert await write(cluster, "holding", quota(4, 2))
    assert not await noted(cluster, "held")


async def test_the_root_itself_and_its_parent_can_be_changed(cluster: Cluster) -> None:
    await cluster.create(team("upper", quota(9, 9)))
    await cluster.create(team("lower", quota(4, 4)))
    teams = Teams(cluster, QuotaChanges(cluster, QuotaHistory(cluster)))
    change = {"spec": {"parent": "upper", "quota": quota(5, 5)}}
    await teams.patch(ADMIN, "lower", change, expected=None)
    found = await cluster.get(kinds.TEAM, "lower")
    assert (found["spec"]["parent"], found["spec"]["quota"]) == ("upper", quota(5, 5))
    for name in ("upper", "lower"):
        assert not await noted(cluster, name)
