"""Shared virtual clusters in the sandbox: the mirror and every policy are ours and real, the gang scheduler
and vcluster's syncer are stand-ins.
"""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import (
    EVENT,
    NAMESPACE,
    NODE,
    POD,
    POD_GROUP,
    QUEUE,
    SECRET,
    VIRTUAL_CLUSTER,
)
from atoll.contract.virtual_clusters import VirtualClusterCreate
from atoll.domain import names
from atoll.domain.gangs import fence_of, read_claims, virtual_namespace
from atoll.errors import ForbiddenError, InvalidError
from atoll.resources.virtual_clusters import VirtualClusterSpec
from atoll.settings import Settings
from atoll_worker.adapters.helm import HelmReleases
from atoll_worker.adapters.redis_store import RedisStores
from atoll_worker.reconcile.runner import Runner
from atoll_worker.reconcile.steps import all_steps
from builders.sandbox_site import Site, ready, until
from builders.shared_site import (
    QUOTA,
    both,
    bound,
    comes,
    gang,
    pod,
    resource,
    said,
    says,
    slip_in,
    sync_error,
)

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def pools(site: Site) -> Iterator[Site]:
    """Two teams with a shared virtual cluster each, Ready; gone at the end."""

    async def make() -> None:
        async with site.cluster() as host:
            for team, name in (("blue", "pool"), ("green", "pond")):
                quota = {"cpu": {"limit": "4", "guaranteed": "2"}, "memory": {"limit": "8Gi"}}
                await host.apply(resource("Team", team, {"quota": quota}))
                wish = {"team": team, "profile": "default", "mode": "shared", "quota": QUOTA}
                await host.create(resource("VirtualCluster", name, wish))
            for name in ("pool", "pond"):
                await until(host, name, ready)

    async def remove() -> None:
        async with site.cluster() as host:
            for name in ("pool", "pond"):
                await host.delete(VIRTUAL_CLUSTER, name)
            for name in ("pool", "pond"):
                await until(host, name, lambda item: item is None)
            queues = {q["metadata"]["name"] for q in await host.items(QUEUE)}
            assert queues == {"root", "default"}
            assert await host.items(POD_GROUP) == []
            assert await host.items(NODE, labels={names.LABEL_SHARED_NODE: "true"}) == []
            assert await host.items(SECRET, "atoll-access-mirror") == []

    try:
        asyncio.run(make())
        yield site
    finally:
        asyncio.run(remove())


async def test_a_gang_runs_when_its_virtual_cluster_has_room_and_waits_whole_when_not(
    pools: Site,
) -> None:
    async with both(pools, "pool") as (host, inside):
        await inside.create(gang("large", "ray", 5))
        for number in range(5):
            await inside.create(pod(f"large-{number}", "ray", "large"))
        await comes(lambda: says(inside, "large", "queue vc-pool resource quota insufficient"))
        await inside.create(gang("small", "ray", 2))
        for number in range(2):
            await inside.create(pod(f"small-{number}", "ray", "small"))
        await comes(lambda: is_running(inside, "small"))
        assert len(await bound(host, "vc-pool", "small")) == 2
        assert await bound(host, "vc-pool", "large") == []


async def is_running(inside: Cluster, name: str) -> bool:
    group = await inside.find(POD_GROUP, name, "ray")
    return bool(group and (group.get("status") or {}).get("phase") == "Running")


async def test_the_copy_has_the_sizes_and_nothing_by_which_it_could_reach_further(
    pools: Site,
) -> None:
    async with both(pools, "pool") as (host, inside):
        sly = gang("sly", "ray", 2, queue="vc-pond", priorityClassName="system-node-critical")
        sly["spec"]["minResources"] = {"cpu": "1"}
        sly["metadata"]["annotations"] = {"volcano.sh/preemptable": "false"}
        sly["metadata"]["labels"] = {"volcano.sh/preemptable": "false"}
        await inside.create(sly)
        copy = await comes(lambda: host.find(POD_GROUP, "sly", "vc-pool"))
        assert copy["spec"] == {"minMember": 2, "minResources": {"cpu": "1"}, "queue": "vc-pool"}
        keys = [*copy["metadata"]["annotations"], *copy["metadata"]["labels"]]
        assert not [key for key in keys if "volcano.sh" in key]
        await inside.patch(POD_GROUP, "sly", {"spec": {"minMember": 3}}, "ray")
        await comes(lambda: has_members(host, 3))


async def has_members(host: Cluster, members: int) -> bool:
    copy = await host.find(POD_GROUP, "sly", "vc-pool")
    return bool(copy and copy["spec"]["minMember"] == members)


async def test_the_queue_is_the_quota_with_its_part_of_what_the_team_is_guaranteed(
    pools: Site,
) -> None:
    async with pools.cluster() as host:
        for name in ("pool", "pond"):
            queue = await host.get(QUEUE, f"vc-{name}")
            assert queue["spec"]["capability"] == QUOTA
            assert queue["spec"]["guarantee"] == {"resource": {"cpu": "1"}}


NOTES: dict[str, Any] = {"scheduling.k8s.io/group-name": "g"}
SPOOFS: dict[str, tuple[dict[str, Any], str]] = {
    "queue by annotation": (
        {"metadata": {"annotations": {**NOTES, "scheduling.volcano.sh/queue-name": "vc-pond"}}},
        "the queue of this virtual cluster is vc-pool",
    ),
    "queue by label": (
        {"metadata": {"labels": {"volcano.sh/queue-name": "team-green"}, "annotations": NOTES}},
        "the queue of this team is team-blue",
    ),
    "preemptable by annotation": (
        {"metadata": {"annotations": {**NOTES, "volcano.sh/preemptable": "false"}}},
        "not its to choose",
    ),
    "preemptable by label": (
        {"metadata": {"labels": {"volcano.sh/preemptable": "false"}, "annotations": NOTES}},
        "not its to choose",
    ),
    "task priority": (
        {"metadata": {"annotations": {**NOTES, "volcano.sh/task-priority": "9"}}},
        "not its to choose",
    ),
    "priority": (
        {"metadata": {"annotations": NOTES}, "spec": {"priorityClassName": "system-node-critical"}},
        "priority class system-node-critical",
    ),
    "node by name": (
        {"metadata": {"annotations": NOTES},
         "spec": {"nodeSelector": {"kubernetes.io/hostname": "node-4c8g-1"}}},
        "cannot choose one of them by name",
    ),
    "node by affinity": (
        {"metadata": {"annotations": NOTES},
         "spec": {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {
             "nodeSelectorTerms": [{"matchFields": [
                 {"key": "metadata.name", "operator": "In", "values": ["node-4c8g-1"]}]}]}}}}},
        "cannot choose a node by name",
    ),
    "every taint": (
        {"metadata": {"annotations": NOTES}, "spec": {"tolerations": [{"operator": "Exists"}]}},
        "tolerates only nodes that are lost",
    ),
    "devices past the queue": (
        {"spec": {"schedulerName": "default-scheduler", "priorityClassName": "atoll-plain",
                  "containers": [{"name": "it", "image": "example.org/nothing:1", "resources": {
                      "requests": {"cpu": "1m", "nvidia.com/gpu": "1"},
                      "limits": {"nvidia.com/gpu": "1"}}}]}},
        "a plain pod cannot hold devices",
    ),
}  # fmt: skip


@pytest.mark.parametrize("how", SPOOFS)
async def test_a_pod_cannot_choose_by(pools: Site, how: str) -> None:
    change, words = SPOOFS[how]
    async with both(pools, "pool") as (host, inside):
        await slip_in(inside, merged(pod("sly", "ray"), change))
        told = await comes(lambda: sync_error(inside, "sly"))
        assert words in told, told
        assert await host.find(POD, "sly-x-ray-x-pool", "vc-pool") is None
        for event in await inside.items(EVENT, "ray"):
            await inside.delete(EVENT, event["metadata"]["name"], "ray")


def merged(base: Object, change: Object) -> Object:
    return {
        **base,
        **{
            key: merged(base.get(key, {}), value) if isinstance(value, dict) else value
            for key, value in change.items()
        },
    }


async def test_another_scheduler_is_refused_on_the_host(pools: Site) -> None:
    async with both(pools, "pool") as (_, inside):
        await slip_in(inside, pod("sly", "ray", schedulerName="mine"))
        told = await comes(lambda: sync_error(inside, "sly"))
        assert "schedulerName mine" in told, told


async def test_a_host_pod_cannot_be_changed_into_another_queue(pools: Site) -> None:
    async with both(pools, "pool") as (host, inside):
        await inside.create(gang("g", "ray", 1))
        await inside.create(pod("g-0", "ray", "g"))
        await comes(lambda: bound(host, "vc-pool", "g"))
        notes = {"annotations": {"volcano.sh/preemptable": "false"}}
        with pytest.raises(ForbiddenError, match="not its to choose"):
            await host.patch(POD, "g-0-x-ray-x-pool", {"metadata": notes}, "vc-pool")


async def test_nobody_makes_a_gang_of_another_queue_in_the_host_namespace(pools: Site) -> None:
    async with pools.cluster() as host:
        for queue in ("default", "vc-pond"):
            with pytest.raises(ForbiddenError, match="are in the queue vc-pool"):
                await host.create({**gang("sly", "vc-pool", 1, queue=queue)})


async def test_plain_pods_have_only_what_the_namespace_leaves_for_them(pools: Site) -> None:
    async with both(pools, "pool") as (_, inside):
        plain = {"schedulerName": "default-scheduler", "priorityClassName": "atoll-plain"}
        for number in range(3):
            await inside.create(pod(f"plain-{number}", "ray", **plain))
        told = await comes(lambda: any_sync_error(inside))
        assert "exceeded quota: plain" in told, told


async def any_sync_error(inside: Cluster) -> str:
    found = [await sync_error(inside, f"plain-{number}") for number in range(3)]
    return next((words for words in found if words), "")


async def test_a_second_gang_of_one_name_is_refused_with_the_reason_until_the_first_is_gone(
    pools: Site,
) -> None:
    async with both(pools, "pool") as (host, inside):
        await inside.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}})
        await inside.create(gang("twin", "ray", 1))
        await inside.create(pod("twin-0", "ray", "twin"))
        await comes(lambda: bound(host, "vc-pool", "twin"))
        await asyncio.sleep(1.2)  # beyond the moment in which pods may have come before the note
        await inside.create(gang("twin", "other", 1))
        await inside.create(pod("twin-0", "other", "twin"))
        words = await comes(lambda: said(inside, "twin", "other"))
        assert "Namespace ray" in words
        assert "another name" in words
        told = await comes(lambda: sync_error(inside, "twin-0", "other"))
        assert "namespace ray of this virtual cluster already has a gang twin" in told
        assert await bound(host, "vc-pool", "twin") == ["twin-0-x-ray-x-pool"]
        await inside.delete(POD, "twin-0", "ray")
        await inside.delete(POD_GROUP, "twin", "ray")
        await comes(lambda: is_of(host, "other"))
        await comes(lambda: bound(host, "vc-pool", "twin"))
        await inside.delete(POD, "twin-0", "other")


async def is_of(host: Cluster, namespace: str) -> bool:
    copy = await host.find(POD_GROUP, "twin", "vc-pool")
    return bool(copy and virtual_namespace(copy) == namespace)


async def test_pods_that_came_before_their_names_owner_was_known_are_cleared(pools: Site) -> None:
    async with both(pools, "pool") as (host, inside):
        await inside.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "other"}})
        # Both sets of pods are on the host before any PodGroup says whose the name is.
        for place in ("ray", "other"):
            await inside.create(pod("early-0", place, "early"))
            await comes(lambda place=place: host.find(POD, f"early-0-x-{place}-x-pool", "vc-pool"))
        await asyncio.gather(
            inside.create(gang("early", "ray", 1)), inside.create(gang("early", "other", 1))
        )
        (left,) = await comes(lambda: alone(host, "early"))
        holder = left["metadata"]["labels"]["vcluster.loft.sh/namespace"]
        notes = (await host.get(NAMESPACE, "vc-pool"))["metadata"]["annotations"]
        assert read_claims(notes[names.ANNOTATION_GANGS])["early"] == holder


async def alone(host: Cluster, group: str) -> list[Object]:
    """The one host pod of a gang, once it is the only one and has a node."""
    pods = [
        p
        for p in await host.items(POD, "vc-pool")
        if p["metadata"].get("annotations", {}).get("scheduling.k8s.io/group-name") == group
    ]
    return pods if len(pods) == 1 and pods[0]["spec"].get("nodeName") else []


async def test_a_pod_without_a_gang_is_put_into_its_queue_whatever_it_names(pools: Site) -> None:
    async with both(pools, "pool") as (host, inside):
        # Tests before have taken the policies away; who is Ready is looked at again after minutes.
        await comes(lambda: converged(runner(pools, host)), 60)
        sly = pod("lone", "ray")
        sly["metadata"]["annotations"] = {"scheduling.volcano.sh/queue-name": "vc-pond"}
        await comes(lambda: is_put_right(inside, sly), 60)
        found = await comes(lambda: host.find(POD, "lone-x-ray-x-pool", "vc-pool"))
        assert found["metadata"]["annotations"]["scheduling.volcano.sh/queue-name"] == "vc-pool"


async def is_put_right(inside: Cluster, sly: Object) -> bool:
    """Make it; keep it when the policies inside have given it its queue."""
    made = await inside.create(sly)
    if made["metadata"]["annotations"]["scheduling.volcano.sh/queue-name"] == "vc-pool":
        return True
    await inside.delete(POD, "lone", "ray")
    await comes(lambda: is_gone(inside, "lone"))
    return False


async def is_gone(inside: Cluster, name: str) -> bool:
    return await inside.find(POD, name, "ray") is None


async def test_gangs_that_come_while_the_mirror_is_dead_are_mirrored_after(pools: Site) -> None:
    async with both(pools, "pool") as (host, inside), both(pools, "pond") as (_, pond):
        await inside.create(gang("before", "ray", 1))
        await comes(lambda: host.find(POD_GROUP, "before", "vc-pool"))
        pools.end_keeper()
        for process in ("follower", "worker"):
            pools.kill(process)
        await inside.delete(POD_GROUP, "before", "ray")
        await inside.create(gang("during", "ray", 1))
        await pond.create(gang("during", "ray", 1))
        await asyncio.to_thread(pools.up)
        for name in ("vc-pool", "vc-pond"):
            copy = await comes(lambda name=name: host.find(POD_GROUP, "during", name), 30)
            assert fence_of(copy) > 1
        await comes(lambda: is_absent(host, "before"))


async def is_absent(host: Cluster, name: str) -> bool:
    return await host.find(POD_GROUP, name, "vc-pool") is None


async def test_the_worker_finds_nothing_to_do(pools: Site) -> None:
    async with pools.cluster() as host:
        await comes(lambda: converged(runner(pools, host)), 60)
        found = await host.get(VIRTUAL_CLUSTER, "pool")
        assert found["status"]["nodes"] == []


def runner(pools: Site, host: Cluster) -> Runner:
    """A worker's look, without the worker."""
    settings = Settings(kubeconfig=pools.kubeconfig, reach="kubeconfig", charts=pools.charts)
    releases = HelmReleases(str(pools.helm), pools.charts)
    return Runner(host, settings, releases, RedisStores(), all_steps())


async def converged(worker: Runner) -> bool:
    return await worker.look("pool") == "converged"


async def test_what_is_refused_before_anything_is_made(pools: Site) -> None:
    with pools.client() as client:
        for change, pointer in (
            ({"quota": {"cpu": "1"}}, "/spec/quota/memory"),
            ({"replica_sets": {"4c8g": 1}}, "/spec/replicaSets"),
        ):
            wish = {"team": "blue", "mode": "shared", "quota": QUOTA, **change}
            with pytest.raises(InvalidError) as refusal:
                client.virtual_clusters.create(
                    VirtualClusterCreate(name="wrong", spec=VirtualClusterSpec(**wish))
                )
            assert pointer in [field.pointer for field in refusal.value.fields]
