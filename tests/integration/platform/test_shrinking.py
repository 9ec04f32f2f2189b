"""A virtual cluster that asks for fewer nodes: its Ray cluster moves, and the node comes back clean."""

import asyncio
import time

import pytest

from atoll.cluster.client import Cluster
from atoll.cluster.kinds import NODE, POD, TEAM, VIRTUAL_CLUSTER
from atoll.domain.names import ANNOTATION_DRAINING, LABEL_VIRTUAL_CLUSTER
from builders.sandbox_site import Site, ready, until

pytestmark = pytest.mark.sandbox
VC = "shrinking"


def _resource(kind: str, name: str, spec: dict[str, object]) -> dict[str, object]:
    meta = {"name": name}
    return {"apiVersion": "atoll.dev/v1alpha1", "kind": kind, "metadata": meta, "spec": spec}


async def test_the_ray_cluster_moves_to_the_node_that_stays(site: Site) -> None:
    async with site.cluster() as cluster:
        await cluster.apply(_resource("Team", "shrink", {}))
        spec = {
            "team": "shrink", "replicaSets": {"4c8g": 2},
            "rayClusters": [{"name": "main", "workers": 2, "headCpu": "1", "workerCpu": "1",
                             "headMemory": "1Gi", "workerMemory": "1Gi"}],
        }  # fmt: skip
        await cluster.create(_resource("VirtualCluster", VC, spec))
        try:
            before = await until(cluster, VC, ready, 300)
            assert before
            owned = set(before["status"]["nodes"])
            change = {"spec": {"replicaSets": {"4c8g": 1}}}
            await cluster.patch(VIRTUAL_CLUSTER, VC, change)
            after = await until(cluster, VC, ready, 300)
            assert after
            kept = set(after["status"]["nodes"])
            assert len(owned) == 2
            assert len(kept) == 1
            for name in owned - kept:
                node = await cluster.get(NODE, name)
                assert LABEL_VIRTUAL_CLUSTER not in node["metadata"]["labels"]
                assert ANNOTATION_DRAINING not in node["metadata"].get("annotations", {})
                assert not node["spec"].get("unschedulable")
            assert await _ray_nodes(cluster) == kept
        finally:
            await cluster.delete(VIRTUAL_CLUSTER, VC)
            await until(cluster, VC, lambda item: item is None)
            await cluster.delete(TEAM, "shrink")


async def _ray_nodes(cluster: Cluster) -> set[str]:
    """Where the three pods of the Ray cluster run, once they all do."""
    deadline = time.monotonic() + 120
    while True:
        pods = await cluster.items(POD, f"vc-{VC}", {"ray.io/cluster": "main"})
        running = [p for p in pods if p.get("status", {}).get("phase") == "Running"]
        staying = [p for p in running if "deletionTimestamp" not in p["metadata"]]
        if len(staying) == 3:
            return {p["spec"]["nodeName"] for p in staying}
        assert time.monotonic() < deadline, [p["status"] for p in pods]
        await asyncio.sleep(0.5)
