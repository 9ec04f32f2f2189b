"""One quota in every layer, live use, and what comes of changes: over a whole platform in the sandbox."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import (
    POD,
    QUEUE,
    RAY_CLUSTER,
    RESOURCE_QUOTA,
    TEAM,
    VALIDATING_BINDING,
    VALIDATING_POLICY,
    VIRTUAL_CLUSTER,
)
from atoll.domain.ray_clusters import ray_cluster_manifest
from atoll.errors import AtollError
from atoll.resources.virtual_clusters import RayClusterSpec
from builders.sandbox_site import Site, inside_of, ready, until

pytestmark = pytest.mark.sandbox
NAME, TEAM_NAME = "layered", "teal"
QUOTA = {"cpu": "3", "memory": "6Gi", "pods": "10", "rayclusters": "1"}


@pytest.fixture
async def host(site: Site) -> AsyncIterator[Cluster]:
    """The host with one Ready virtual cluster, the same for all tests; it goes with the platform."""
    async with site.cluster() as found:
        lines = {r: {"limit": str(amount)} for r, amount in (("cpu", 6), ("memory", "12Gi"))}
        lines["cpu"]["guaranteed"] = "4"
        lines |= {r: {"limit": "20"} for r in ("pods", "rayclusters")}
        await found.apply(_resource("Team", TEAM_NAME, {"quota": lines}))
        spec = {"team": TEAM_NAME, "profile": "default", "replicaSets": {"4c8g": 1}, "quota": QUOTA}
        await found.apply(_resource("VirtualCluster", NAME, spec))
        await until(found, NAME, ready)
        yield found


@pytest.fixture
async def inside(host: Cluster) -> AsyncIterator[Cluster]:
    async with await inside_of(host, NAME) as found:
        yield found
        for pod in await found.items(POD, "default"):
            await found.delete(POD, pod["metadata"]["name"], "default")


def _resource(kind: str, name: str, spec: dict[str, Any]) -> Object:
    return {
        "apiVersion": "atoll.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec,
    }  # fmt: skip


def pod(name: str, cpu: str) -> Object:
    container = {
        "name": "c", "image": "alpine",
        "resources": {"requests": {"cpu": cpu, "memory": "1Gi"}},
    }  # fmt: skip
    meta = {"name": name, "namespace": "default"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {"containers": [container]},
    }


def condition(item: Object) -> Object:
    found = (c for c in item["status"]["conditions"] if c["type"] == "QuotaReady")
    return next(found, {})


async def set_quota(host: Cluster, **amounts: str) -> None:
    body = {"spec": {"quota": {**QUOTA, **amounts}}}
    await host.patch(VIRTUAL_CLUSTER, NAME, body)


async def test_every_layer_says_the_same(host: Cluster, inside: Cluster) -> None:
    item = await host.get(VIRTUAL_CLUSTER, NAME)
    assert condition(item)["status"] == "True"
    queue = (await inside.get(QUEUE, f"team-{TEAM_NAME}"))["spec"]
    assert queue["capability"] == {"cpu": "3", "memory": "6Gi", "pods": "10"}
    assert queue["guarantee"]["resource"] == {"cpu": "2"}  # 4 guaranteed x 3 / 6
    hard = (await host.get(RESOURCE_QUOTA, "tenant", f"vc-{NAME}"))["status"]["hard"]
    assert hard["pods"] == "18"  # with the platform's own


async def test_use_and_free_follow_what_runs(host: Cluster, inside: Cluster) -> None:
    await inside.create(pod("one", "1500m"))
    item = await until(host, NAME, lambda vc: vc["status"]["used"].get("cpu") == "1500m")
    assert item["status"]["used"] == {
        "cpu": "1500m", "memory": "1Gi", "pods": "1", "rayclusters": "0",
    }  # fmt: skip
    assert item["status"]["free"]["cpu"] == "1500m"
    team = await _team(host, lambda status: status.get("used", {}).get("cpu") == "1500m")
    assert team["used"]["pods"] == "1"
    assert team["free"] == {"cpu": "3", "memory": "6Gi", "pods": "10", "rayclusters": "19"}
    await inside.delete(POD, "one", "default")
    await until(host, NAME, lambda vc: vc["status"]["used"]["cpu"] == "0")


async def test_lowering_below_use_says_what_is_over_and_takes_nothing_away(
    host: Cluster, inside: Cluster
) -> None:
    await inside.create(pod("kept", "2"))
    await until(host, NAME, lambda vc: vc["status"]["used"]["cpu"] == "2")

    async def runs() -> bool:
        found = await inside.get(POD, "kept", "default")
        return bool(found["status"].get("phase") == "Running")

    await _until(runs, "the pod runs")  # its use is counted before it does
    await set_quota(host, cpu="1")
    item = await until(host, NAME, lambda vc: condition(vc).get("reason") == "OverQuota")
    assert "cpu 2 of 1" in condition(item)["message"]
    assert condition(item)["status"] == "True"
    assert await runs()
    await set_quota(host)
    await until(host, NAME, lambda vc: condition(vc).get("reason") == "Done" and ready(vc))


async def test_what_the_platform_itself_has_there_takes_nothing_of_the_quota(host: Cluster) -> None:
    """With no Service allowed: neither those of DNS, operator and scheduler, nor the way to Redis."""
    await set_quota(host, services="0")
    item = await until(
        host, NAME, lambda vc: ready(vc) and "services" in (vc["status"].get("used") or {})
    )
    assert item["status"]["used"]["services"] == "0"
    assert condition(item)["reason"] == "Done", condition(item)["message"]
    await host.patch(VIRTUAL_CLUSTER, NAME, {"spec": {"quota": {"services": None}}})


async def test_a_quota_that_somebody_changed_is_put_back(host: Cluster, inside: Cluster) -> None:
    body = {"spec": {"hard": {"requests.cpu": "100", "count/secrets": "1"}}}
    await host.patch(RESOURCE_QUOTA, "tenant", body, f"vc-{NAME}")

    async def back() -> bool:
        hard = (await host.get(RESOURCE_QUOTA, "tenant", f"vc-{NAME}"))["spec"]["hard"]
        return hard["requests.cpu"] == "3650m" and hard["count/secrets"] != "1"

    await _until(back, "the host's quota is put back")


async def test_policies_that_somebody_took_away_are_put_back(
    host: Cluster, inside: Cluster
) -> None:
    for kind in (VALIDATING_BINDING, VALIDATING_POLICY):
        await inside.delete(kind, "atoll-ray")
    await inside.create(pod("gap", "100m"))  # what uses the gap causes a look

    async def back() -> bool:
        return await inside.find(VALIDATING_BINDING, "atoll-ray") is not None

    await _until(back, "the policies are back")


async def test_ray_clusters_over_the_quota_are_refused_and_a_burst_does_not_pass_it(
    host: Cluster, inside: Cluster
) -> None:
    spaces = (
        "ray",
        "default",
        "kube-public",
    )  # one each, at once: no namespace's quota sees them all

    async def make(space: str) -> None:
        await inside.create(_ray("burst", space))

    await asyncio.gather(*(make(space) for space in spaces))

    async def going_on() -> set[str]:
        found = [await inside.get(RAY_CLUSTER, "burst", space) for space in spaces]
        return {i["metadata"]["namespace"] for i in found if not i["spec"].get("suspend")}

    async def one_goes_on() -> bool:
        return len(await going_on()) == 1

    await _until(one_goes_on, "two of three are suspended")

    async def refused() -> bool:
        try:
            await inside.create(_ray("late", "default"))
        except AtollError as error:
            return "may hold 1 Ray cluster in all namespaces together" in error.detail
        await inside.delete(RAY_CLUSTER, "late", "default")
        return False

    await _until(refused, "the next one is refused in words")
    (first,) = await going_on()
    await inside.delete(RAY_CLUSTER, "burst", first)
    rest = tuple(space for space in spaces if space != first)

    async def another_goes_on() -> bool:
        left = [await inside.get(RAY_CLUSTER, "burst", space) for space in rest]
        return [bool(i["spec"].get("suspend")) for i in left].count(False) == 1

    await _until(another_goes_on, "the next one has its turn")
    for space in rest:
        await inside.delete(RAY_CLUSTER, "burst", space)

    async def room() -> bool:
        return await inside.find(VALIDATING_POLICY, "atoll-ray-count") is None

    await _until(room, "the refusal is gone")


def _ray(name: str, namespace: str) -> Object:
    made = ray_cluster_manifest(
        RayClusterSpec(name=name, workers=0, head_cpu="100m", head_memory="512Mi"),
        team=TEAM_NAME, virtual_cluster=NAME, ray_version="2.60.0", image="rayproject/ray:2.60.0",
    )  # fmt: skip
    made["metadata"]["namespace"] = namespace
    return made


async def _until(so: Callable[[], Awaitable[bool]], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not await so():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not: {what}"
        await asyncio.sleep(0.2)


async def _team(host: Cluster, so: Any) -> Object:
    async def reached() -> bool:
        return bool(so((await host.get(TEAM, TEAM_NAME)).get("status") or {}))

    await _until(reached, "the team's status follows")
    status: Object = (await host.get(TEAM, TEAM_NAME))["status"]
    return status
