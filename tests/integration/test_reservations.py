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
from atoll.errors import NotFoundError, QuotaExceededError

API_VERSION = "atoll.dev/v1alpha1"


def team_named(name: str, cpu: str) -> dict[str, Any]:
    spec = {"quota": {"cpu": {"limit": cpu}}}
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
    return reservations.entries_of(await cluster.get(kinds.TEAM, team))


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


async def test_undo_leaves_nothing_and_release_gives_back(cluster: Cluster) -> None:
    await cluster.create(team_named("giving", "4"))
    key = await reservations.note(cluster, "giving", "never", {"cpu": "4"})
    with pytest.raises(QuotaExceededError):
        await reservations.note(cluster, "giving", "other", {"cpu": "1"})
    await reservations.undo(cluster, "giving", key)
    assert await entries(cluster, "giving") == {}
    await cluster.create(virtual_cluster("given", "giving", "3"))
    await reservations.ensure(cluster, "giving", "given")
    revision = (await cluster.get(kinds.TEAM, "giving"))["metadata"]["resourceVersion"]
    await reservations.ensure(cluster, "giving", "given")
    assert (await cluster.get(kinds.TEAM, "giving"))["metadata"]["resourceVersion"] == revision
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
