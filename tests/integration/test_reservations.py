"""The ledger of a team's quota on a real API server: writers at once, lost writers, leftovers."""

import asyncio
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from atoll.cluster import kinds, reservations
from atoll.cluster.client import Cluster
from atoll.cluster.quota_trees import entries_of
from atoll.domain.quota_tree import BrokenTreeError
from atoll.errors import NotFoundError, QuotaExceededError

API_VERSION = "atoll.dev/v1alpha1"


def team_named(
    name: str, cpu: str | None, parent: str | None = None, guaranteed: str | None = None
) -> dict[str, Any]:
    line = {"limit": cpu} | ({"guaranteed": guaranteed} if guaranteed else {})
    spec: dict[str, Any] = {"quota": {"cpu": line} if cpu else {}}
    if parent:
        spec["parent"] = parent
    return {"apiVersion": API_VERSION, "kind": "Team", "metadata": {"name": name}, "spec": spec}


def virtual_cluster(name: str, team: str, cpu: str) -> dict[str, Any]:
    spec = {"team": team, "quota": {"cpu": cpu}}
    return {
        "apiVersion": API_VERSION,
        "kind": "VirtualCluster",
        "metadata": {"name": name},
        "spec": spec,
    }


@pytest.fixture
async def cluster(api_server: Path) -> AsyncIterator[Cluster]:
    async with Cluster.from_file(api_server) as made:
        yield made


async def entries(cluster: Cluster, team: str) -> dict[str, dict[str, str]]:
    return entries_of(await cluster.get(kinds.TEAM, team))


async def test_the_limit_holds_between_processes_that_do_not_know_each_other(
    cluster: Cluster, api_server: Path
) -> None:
    await cluster.create(team_named("crowd", "7"))

    async def one(index: int) -> bool:
        async with Cluster.from_file(api_server) as own:
            try:
                await reservations.note(own, "crowd", f"vc-{index}", {"cpu": "1"})
            except QuotaExceededError:
                return False
            return True

    taken = await asyncio.gather(*(one(i) for i in range(20)))
    assert sum(taken) == 7
    assert len(await entries(cluster, "crowd")) == 7
    status = (await cluster.get(kinds.TEAM, "crowd"))["status"]
    assert status["reserved"] == {"cpu": "7", "virtualclusters": "7"}


async def test_settle_follows_the_stored_spec_not_what_the_writer_remembers(
    cluster: Cluster,
) -> None:
    await cluster.create(team_named("settling", "9"))
    key = await reservations.note(cluster, "settling", "moving", {"cpu": "2"})
    await cluster.create(virtual_cluster("moving", "settling", "2"))
    later = await reservations.note(cluster, "settling", "moving", {"cpu": "5"})
    await cluster.patch(kinds.VIRTUAL_CLUSTER, "moving", {"spec": {"quota": {"cpu": "5"}}})
    await reservations.settle(cluster, "settling", "moving", later)
    await reservations.settle(cluster, "settling", "moving", key)
    held = {"moving": {"cpu": "5", "virtualclusters": "1"}}
    assert await entries(cluster, "settling") == held


async def test_undo_leaves_nothing_and_release_gives_back(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cluster.create(team_named("giving", "4"))
    key = await reservations.note(cluster, "giving", "never", {"cpu": "4"})
    with pytest.raises(QuotaExceededError):
        await reservations.note(cluster, "giving", "other", {"cpu": "1"})
    await reservations.undo(cluster, "giving", key)
    assert await entries(cluster, "giving") == {}
    await cluster.create(virtual_cluster("given", "giving", "3"))
    await reservations.ensure(cluster, "giving", "given")
    # By the writes: the API process of other tests may write the team's conditions meanwhile.
    with monkeypatch.context() as watched:
        watched.setattr(Cluster, "replace", None)
        await reservations.ensure(cluster, "giving", "given")
    await reservations.release(cluster, "giving", "given")
    assert await entries(cluster, "giving") == {}
    await reservations.release(cluster, "no-such-team", "given")
    with pytest.raises(NotFoundError):
        await reservations.note(cluster, "no-such-team", "given", {})


async def test_ensure_refuses_what_kubectl_asked_too_much_and_keeps_what_was_held(
    cluster: Cluster,
) -> None:
    await cluster.create(team_named("strict", "4"))
    await cluster.create(virtual_cluster("greedy", "strict", "3"))
    await reservations.ensure(cluster, "strict", "greedy")
    await cluster.patch(kinds.VIRTUAL_CLUSTER, "greedy", {"spec": {"quota": {"cpu": "5"}}})
    with pytest.raises(QuotaExceededError) as refused:
        await reservations.ensure(cluster, "strict", "greedy")
    assert refused.value.extra["shortages"][0]["limit"] == "4"
    assert (await entries(cluster, "strict"))["greedy"]["cpu"] == "3"


async def test_sweep_drops_what_belongs_to_nothing(cluster: Cluster) -> None:
    made = await cluster.create(team_named("swept", "10"))
    await cluster.create(virtual_cluster("alive", "swept", "1"))
    now = int(time.time())
    old, young = f"lost/{now - 500}-aa", f"coming/{now}-bb"
    ledger = {"alive": {"cpu": "1"}, "dead": {"cpu": "2"}, old: {"cpu": "3"}, young: {"cpu": "4"}}
    await cluster.replace({**made, "status": {"reservations": ledger}}, status=True)
    assert await reservations.sweep(cluster, "swept", set()) == sorted(["dead", old])
    left = (await cluster.get(kinds.TEAM, "swept"))["status"]
    assert sorted(left["reservations"]) == ["alive", young]
    assert Decimal(left["reserved"]["cpu"]) == 5
    assert await reservations.sweep(cluster, "swept", set()) == []


async def test_fifty_creates_at_once_never_pass_the_limit_of_any_ancestor(
    cluster: Cluster, api_server: Path
) -> None:
    await cluster.create(team_named("dept", "20"))
    for name, cpu in (("red", "9"), ("green", "9"), ("blue", None)):
        await cluster.create(team_named(name, cpu, "dept"))
    teams = ["red", "green", "blue", "red-deep", "dept"]
    await cluster.create(team_named("red-deep", "5", "red"))
    highest = dict.fromkeys(["dept", "red", "green", "red-deep"], Decimal(0))
    done = asyncio.Event()

    async def look() -> None:
        while not done.is_set():
            for name in highest:
                status = (await cluster.get(kinds.TEAM, name)).get("status") or {}
                now = Decimal((status.get("reserved") or {}).get("cpu", "0"))
                highest[name] = max(highest[name], now)

    async def one(index: int) -> str | None:
        team = teams[index % len(teams)]
        async with Cluster.from_file(api_server) as own:
            try:
                key = await reservations.note(own, team, f"tree-race-{index}", {"cpu": "1"})
            except QuotaExceededError:
                return None
            await own.create(virtual_cluster(f"tree-race-{index}", team, "1"))
            await reservations.settle(own, team, f"tree-race-{index}", key)
        return team

    looking = asyncio.create_task(look())
    taken = [t for t in await asyncio.gather(*(one(i) for i in range(50))) if t]
    done.set()
    await looking
    assert highest["dept"] <= 20
    assert highest["red"] <= 9
    assert highest["green"] <= 9
    assert highest["red-deep"] <= 5
    # Refused for a moment is allowed, full at the end is not: what is free can be had.
    for index in range(50, 50 + 20 - len(taken)):
        await reservations.note(cluster, "blue", f"tree-race-{index}", {"cpu": "1"})
    with pytest.raises(QuotaExceededError, match="parent team 'dept'"):
        await reservations.note(cluster, "blue", "tree-race-last", {"cpu": "1"})
    ledgers = {name: await entries(cluster, name) for name in (*teams,)}
    for team in ("red", "green", "blue", "red-deep"):
        assert set(ledgers[team]) <= set(ledgers["dept"])
    assert set(ledgers["red-deep"]) <= set(ledgers["red"])
    assert len(ledgers["dept"]) == 20
    for index in range(50):
        await cluster.delete(kinds.VIRTUAL_CLUSTER, f"tree-race-{index}")


async def test_a_writer_that_dies_between_two_teams_is_swept_or_mended(cluster: Cluster) -> None:
    await cluster.create(team_named("above", "4"))
    await cluster.create(team_named("under", "4", "above"))
    old = f"died/{int(time.time()) - 500}-aa"
    above = await cluster.get(kinds.TEAM, "above")
    half = {old: {"cpu": "1"}, "half": {"cpu": "1"}, "nowhere": {"cpu": "1"}}
    await cluster.replace({**above, "status": {"reservations": half}}, status=True)
    await cluster.create(virtual_cluster("half", "under", "1"))
    assert (await reservations.held(cluster, "under", "half")).amounts is None
    await reservations.ensure(cluster, "under", "half")
    wanted = {"cpu": "1", "virtualclusters": "1"}
    assert (await reservations.held(cluster, "under", "half")).amounts == wanted
    assert await reservations.sweep(cluster, "above", set()) == ["nowhere"]
    assert await entries(cluster, "above") == {"half": wanted}
    await reservations.release(cluster, "under", "half")
    assert await entries(cluster, "above") == await entries(cluster, "under") == {}


async def test_a_refusal_at_an_ancestor_or_below_leaves_nothing_anywhere(cluster: Cluster) -> None:
    await cluster.create(team_named("wide", "9"))
    await cluster.create(team_named("narrow", "2", "wide"))
    await cluster.create(team_named("promised", "8", "wide", guaranteed="6"))
    with pytest.raises(QuotaExceededError, match="3 asked, 2 free of 2"):
        await reservations.note(cluster, "narrow", "big", {"cpu": "3"})
    with pytest.raises(QuotaExceededError, match="6 kept for guarantees") as refused:
        await reservations.note(cluster, "wide", "own", {"cpu": "4"})
    assert refused.value.extra["shortages"][0]["free"] == "3"
    assert [await entries(cluster, n) for n in ("wide", "narrow", "promised")] == [{}, {}, {}]
    await reservations.note(cluster, "promised", "fine", {"cpu": "8"})


async def test_a_tree_that_is_none_lets_nothing_in(cluster: Cluster) -> None:
    await cluster.create(team_named("lost-child", "9", "no-such-parent"))
    with pytest.raises(BrokenTreeError, match="no-such-parent"):
        await reservations.note(cluster, "lost-child", "x", {"cpu": "1"})
    assert "no-such-parent" in (await reservations.held(cluster, "lost-child", "x")).broken


async def test_an_entry_of_a_virtual_cluster_that_lives_elsewhere_now_is_dropped(
    cluster: Cluster,
) -> None:
    made = await cluster.create(team_named("before", "4"))
    await cluster.create(team_named("after", "4"))
    ledger = {"namesake": {"cpu": "2"}}
    await cluster.replace({**made, "status": {"reservations": ledger}}, status=True)
    await cluster.create(virtual_cluster("namesake", "after", "1"))
    assert await reservations.sweep(cluster, "before", set()) == ["namesake"]


async def test_a_guarantee_that_is_given_back_meanwhile_is_kept_from_a_sibling(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cluster.create(team_named("over", "10"))
    await cluster.create(team_named("sure", "10", "over", guaranteed="6"))
    await cluster.create(team_named("eager", "10", "over"))
    key = await reservations.note(cluster, "sure", "one", {"cpu": "6"})
    read, given_back = reservations.read_tree, False

    async def then_give_back(of: Cluster) -> Any:
        nonlocal given_back
        tree = await read(of)
        if not given_back:
            given_back = True
            await reservations.undo(of, "sure", key)
        return tree

    monkeypatch.setattr(reservations, "read_tree", then_give_back)
    with pytest.raises(QuotaExceededError, match="4 free of 10"):
        await reservations.note(cluster, "eager", "two", {"cpu": "8"})
    assert await entries(cluster, "over") == {}
