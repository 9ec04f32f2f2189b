"""The writer's lease against a real API server, with its real clock."""

import asyncio
from pathlib import Path

import pytest

from atoll.cluster.client import Cluster
from atoll.cluster.kinds import LEASE, VIRTUAL_CLUSTER
from atoll.cluster.leases import (
    HeldByOtherError,
    LeaseLostError,
    OutdatedError,
    WriterLease,
    sweep,
)

SECONDS = 4.0
"""How long a lease lasts here: a quarter of it is enough for a renewal on a busy machine."""


def lease(
    cluster: Cluster, name: str, holder: str, seconds: float = SECONDS, floor: int = 0
) -> WriterLease:
    return WriterLease(cluster, "default", name, holder, seconds, floor)


async def test_one_writer_at_a_time_and_the_fence_grows_with_each(api_server: Path) -> None:
    async with Cluster.from_file(api_server) as cluster:
        first, second = lease(cluster, "a", "one", 30), lease(cluster, "a", "two", 30)
        await first.take()
        with pytest.raises(HeldByOtherError):
            await second.take()
        await first.release()
        await second.take()
        assert second.fence > first.fence


async def test_the_same_writer_comes_back_without_a_new_fence(api_server: Path) -> None:
    async with Cluster.from_file(api_server) as cluster:
        first = lease(cluster, "b", "one", 30)
        await first.take()
        again = lease(cluster, "b", "one", 30)
        await again.take()
        assert again.fence == first.fence


async def test_a_silent_writer_is_followed_by_another(api_server: Path) -> None:
    async with Cluster.from_file(api_server) as cluster:
        await lease(cluster, "c", "dead").take()
        follower = lease(cluster, "c", "alive")
        with pytest.raises(HeldByOtherError):
            await follower.take()
        await asyncio.sleep(SECONDS * 1.2)
        await follower.take()
        assert follower.fence == 2


async def test_work_is_cut_short_when_the_lease_is_lost(api_server: Path) -> None:
    async with Cluster.from_file(api_server) as cluster:
        mine, reached = lease(cluster, "d", "one"), False
        with pytest.raises(LeaseLostError):
            async with mine.held():
                found = await cluster.get(LEASE, "d", "default")
                found["spec"]["holderIdentity"] = "thief"
                await cluster.replace(found)
                await asyncio.sleep(SECONDS * 5)
                reached = True
        assert not reached
        kept = await cluster.get(LEASE, "d", "default")
        assert kept["spec"]["holderIdentity"] == "thief"  # nor did we free what is not ours


async def test_it_is_renewed_while_working_and_free_afterwards(api_server: Path) -> None:
    async with Cluster.from_file(api_server) as cluster:
        async with lease(cluster, "e", "one").held():
            await asyncio.sleep(SECONDS * 1.3)  # longer than it lasts
            with pytest.raises(HeldByOtherError):
                await lease(cluster, "e", "two").take()
        await lease(cluster, "e", "two").take()


async def test_of_many_at_once_exactly_one_wins(api_server: Path) -> None:
    async with Cluster.from_file(api_server) as cluster:
        tries = [lease(cluster, "f", f"w{i}", 30).take() for i in range(12)]
        got = await asyncio.gather(*tries, return_exceptions=True)
        assert [g for g in got if not isinstance(g, HeldByOtherError)] == [None]


async def test_a_lost_lease_object_does_not_take_the_fence_back(api_server: Path) -> None:
    async with Cluster.from_file(api_server) as cluster:
        again = lease(cluster, "g", "one", floor=41)
        await again.take()
        assert again.fence == 42


async def test_an_older_version_does_not_follow_a_newer_one(api_server: Path) -> None:
    async with Cluster.from_file(api_server) as cluster:

        def of(version: str, **more: bool) -> WriterLease:
            return WriterLease(cluster, "default", "h", version, 30, version=version, **more)

        async with of("0.1.0").held():
            pass
        async with of("0.2.0").held():  # an upgrade
            pass
        before = await cluster.get(LEASE, "h", "default")
        old = of("0.1.0")
        with pytest.raises(OutdatedError, match=r"0\.2\.0 .* 0\.1\.0"):
            await old.left_behind()
        with pytest.raises(OutdatedError):
            await old.take()
        assert await cluster.get(LEASE, "h", "default") == before
        async with of("0.1.0", over_newer=True).held():  # a rollback
            pass
        assert not await old.left_behind()


async def test_sweep_drops_leases_of_what_is_gone_and_no_other(api_server: Path) -> None:
    async with Cluster.from_file(api_server) as cluster:
        wish = {
            "apiVersion": "atoll.dev/v1alpha1",
            "kind": "VirtualCluster",
            "metadata": {"name": "there"},
            "spec": {"team": "t"},
        }
        await cluster.create(wish)
        for name in ("virtual-cluster-there", "virtual-cluster-known", "virtual-cluster-gone", "i"):
            freed = lease(cluster, name, "one", 30)
            await freed.take()
            await freed.release()
        await lease(cluster, "virtual-cluster-held", "one", 30).take()

        dropped = await sweep(cluster, "default", {"known"})

        assert dropped == ["gone"]
        left = {item["metadata"]["name"] for item in await cluster.items(LEASE, "default")}
        assert {"virtual-cluster-there", "virtual-cluster-known", "virtual-cluster-held"} <= left
        assert "i" in left
        assert "virtual-cluster-gone" not in left
        await cluster.delete(VIRTUAL_CLUSTER, "there")
