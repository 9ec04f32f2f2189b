"""What a shared virtual cluster's team is guaranteed, the host's real Volcano keeps free from the others."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from bench.gangs.judge import Gang
from bench.gangs.load import SPACE, group_of, pod_of
from bench.gangs.run import NODE_CORES
from bench.gangs.site import open_site
from bench.gangs.tenant import comes
from bench.gangs.volcano import Volcano, definitions

from atoll.cluster.client import Cluster
from atoll.cluster.kinds import POD, POD_GROUP, QUEUE
from atoll.domain.gangs import queue_spec
from atoll.domain.names import host_queue
from atoll.errors import AtollError
from builders.volcano_site import bundle

CORES = 16
KEPT = 6
"""Cores that are guaranteed to the virtual cluster `calm`; `busy` may hold all, and is promised none."""


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Cluster]:
    """Volcano over nodes of CORES in all, with the queues of two shared virtual clusters, and no pod."""
    found = bundle()
    with open_site(tmp_path, {f"{NODE_CORES}c64g": CORES // NODE_CORES}) as site:
        volcano = Volcano(found, site.kubeconfig, site.programs)
        async with Cluster.from_file(site.kubeconfig) as cluster:
            await site.settle(cluster)
            for definition in definitions(found):
                await cluster.apply(definition)
            meta = {"name": SPACE}
            await cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
            account = {"name": "default", "namespace": SPACE}
            await cluster.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": account})
            await comes(lambda: made(cluster, "busy", CORES, 0), "queues are served")
            await made(cluster, "calm", KEPT, KEPT)
            volcano.start()
            await comes(lambda: opened(cluster), "Volcano's controller opens both queues")
            yield cluster


async def made(cluster: Cluster, name: str, cores: int, kept: int) -> bool:
    """The queue of a virtual cluster with this quota, of a team with this guarantee; False if not served."""
    quota = {"cpu": str(cores)}
    spec = queue_spec(quota, quota, {"cpu": str(kept)} if kept else {})
    try:
        await cluster.apply(
            {
                "apiVersion": QUEUE.api_version, "kind": QUEUE.kind,
                "metadata": {"name": host_queue(name)}, "spec": spec,
            }
        )  # fmt: skip
    except AtollError:
        return False
    return True


async def opened(cluster: Cluster) -> bool:
    states = [
        ((await cluster.get(QUEUE, host_queue(name))).get("status") or {}).get("state")
        for name in ("busy", "calm")
    ]
    return states == ["Open", "Open"]


async def ask(cluster: Cluster, queue: str, gang: Gang) -> None:
    """A gang in the queue of this virtual cluster, as its mirror and vcluster make it on the host."""
    group = group_of(gang)
    group["spec"]["queue"] = host_queue(queue)
    await cluster.create(group)
    for number in range(gang.size):
        pod = pod_of(gang, number)
        pod["spec"]["schedulerName"] = "volcano"
        await cluster.create(pod)


async def bound(cluster: Cluster, prefix: str) -> int:
    pods = [pod for pod in await cluster.items(POD, SPACE) if pod["spec"].get("nodeName")]
    return sum(pod["metadata"]["name"].startswith(prefix) for pod in pods)


async def has(cluster: Cluster, name: str, cores: int) -> bool:
    return await bound(cluster, name) == cores


async def test_what_is_guaranteed_is_left_free_while_idle_and_had_at_once(host: Cluster) -> None:
    for number in range(CORES // 2):
        await ask(host, "busy", Gang(f"busy{number}", 2, 1000))
    rest = CORES - KEPT
    await comes(lambda: has(host, "busy", rest), "all that is promised to nobody is taken")
    # Whole at once, though older gangs ask for the same cores: none of them took its room.
    await ask(host, "calm", Gang("calm", KEPT, 1000))
    await comes(lambda: has(host, "calm", KEPT), "the gang that counts on the guarantee is whole")
    assert await has(host, "busy", rest)
    for number in range(KEPT):
        await host.delete(POD, f"calm-{number}", SPACE)
    await host.delete(POD_GROUP, "calm", SPACE)
    await comes(lambda: has(host, "calm", 0), "it has ended")
    # It was the guarantee that kept the room, and not the weights of the queues.
    await host.patch(QUEUE, host_queue("calm"), {"spec": {"guarantee": None}})
    await comes(lambda: has(host, "busy", CORES), "without it the others take all")
