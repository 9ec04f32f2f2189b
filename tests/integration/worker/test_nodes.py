"""Nodes taken and given back, over a real API server with real evictions; the test is the kubelet."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from atoll.cluster import kinds
from atoll.cluster.client import Cluster, Object
from atoll.domain.names import ANNOTATION_DRAINING, LABEL_VIRTUAL_CLUSTER
from atoll.errors import ConflictError
from atoll.resources.meta import Metadata
from atoll.resources.virtual_clusters import VirtualCluster, VirtualClusterSpec
from atoll.settings import Settings
from atoll_worker.adapters.helm import HelmReleases
from atoll_worker.adapters.redis_store import RedisStores
from atoll_worker.reconcile.engine import StepRun, remove_step, run_step
from atoll_worker.reconcile.outcome import Done, Failed, Wait
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.steps.nodes import Nodes

VC, NAMESPACE, TEMPLATE = "drained", "vc-drained", "drain-test"
NODES = ("drain-a", "drain-b", "drain-c")


@dataclass
class Host:
    """The host with three nodes of one template, and the step over it."""

    cluster: Cluster
    settings: Settings

    async def look(
        self, count: int, *, deleting: bool = False, deadline: int | None = None
    ) -> StepRun:
        spec = VirtualClusterSpec(
            team="t", replica_sets={TEMPLATE: count}, drain_deadline_seconds=deadline
        )
        async with Scope(
            vc=VirtualCluster(metadata=Metadata(name=VC), spec=spec), team=None, profile=None,
            host=self.cluster, settings=self.settings, releases=HelmReleases(self.settings.helm, None),
            stores=RedisStores(), host_kubeconfig=None,
        ) as scope:  # fmt: skip
            return await (remove_step if deleting else run_step)(Nodes(), scope)

    async def pod(self, name: str, node: str, **more: Any) -> None:
        """A pod as vcluster makes it on the host for one inside, already running on its node."""
        meta = {
            "name": name, "namespace": NAMESPACE,
            "labels": {"vcluster.loft.sh/managed-by": VC, "app": name.partition("-")[0]},
            "annotations": {"vcluster.loft.sh/object-name": name,
                            "vcluster.loft.sh/object-namespace": "ray"} | more.pop("notes", {}),
        } | more  # fmt: skip
        spec = {"nodeName": node, "containers": [{"name": "c", "image": "i"}]}
        await self.cluster.create(
            {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}
        )
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        await self.cluster.patch(kinds.POD, name, {"status": status}, NAMESPACE, status=True)

    async def going(self) -> set[str]:
        """Names of the pods that were told to go."""
        found = await self.cluster.items(kinds.POD, NAMESPACE)
        return {p["metadata"]["name"] for p in found if "deletionTimestamp" in p["metadata"]}

    async def stop(self, *names: str) -> None:
        """What a kubelet does in the end with pods that go."""
        for name in names:
            path = f"/api/v1/namespaces/{NAMESPACE}/pods/{name}"
            await self.cluster.request("DELETE", path, body={"gracePeriodSeconds": 0})

    async def node(self, name: str) -> Object:
        return await self.cluster.get(kinds.NODE, name)

    async def owned(self) -> list[str]:
        found = await self.cluster.items(kinds.NODE, labels={LABEL_VIRTUAL_CLUSTER: VC})
        return sorted(item["metadata"]["name"] for item in found)


def cordon(node: Object) -> tuple[bool, bool]:
    """Whether it is cordoned, and whether by us."""
    marked = ANNOTATION_DRAINING in (node["metadata"].get("annotations") or {})
    return bool(node["spec"].get("unschedulable")), marked


@pytest.fixture
async def host(api_server: Path) -> AsyncIterator[Host]:
    settings = Settings(kubeconfig=api_server)
    async with Cluster.from_file(api_server) as cluster:
        try:
            meta = {"name": NAMESPACE}
            await cluster.create({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
        except ConflictError:
            pass
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        for name in NODES:
            labels = {settings.node_label: TEMPLATE}
            meta = {"name": name, "labels": labels}  # type: ignore[dict-item]
            await cluster.create({"apiVersion": "v1", "kind": "Node", "metadata": meta})
            await cluster.patch(kinds.NODE, name, {"status": ready}, status=True)
        made = Host(cluster, settings)
        yield made
        await made.stop(*[p["metadata"]["name"] for p in await cluster.items(kinds.POD, NAMESPACE)])
        path = f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets"
        await cluster.request("DELETE", path)
        for name in NODES:
            await cluster.delete(kinds.NODE, name)


async def test_the_emptiest_node_is_cordoned_drained_and_only_then_let_go(host: Host) -> None:
    assert isinstance((await host.look(3)).outcome, Done)
    for name, node in (("w-1", "drain-a"), ("w-2", "drain-a"), ("w-3", "drain-c")):
        await host.pod(name, node)
    await host.pod("x-1", "drain-b")
    await host.pod("x-2", "drain-b")
    # None of these must leave: another's, one of its control plane, one that belongs to the node, one
    # that has ended.
    await host.pod("plane-0", "drain-c", labels={"app": "vcluster"})
    await host.pod("ds-1", "drain-c", notes={"vcluster.loft.sh/owner-set-kind": "DaemonSet"})
    await host.pod("old-1", "drain-c")
    ended = {"status": {"phase": "Succeeded"}}
    await host.cluster.patch(kinds.POD, "old-1", ended, NAMESPACE, status=True)

    first = await host.look(2)
    assert isinstance(first.outcome, Wait)
    assert first.outcome.reason == "DrainingNodes"
    assert "drain-c: ray/w-3" in first.outcome.message
    assert cordon(await host.node("drain-c")) == (True, True)
    assert await host.going() == {"w-3"}
    assert await host.owned() == list(NODES)

    waiting = await host.look(2)
    assert (waiting.changes, await host.owned()) == (0, list(NODES))

    await host.stop("w-3")
    last = await host.look(2)
    assert isinstance(last.outcome, Done), last.outcome
    assert await host.owned() == ["drain-a", "drain-b"]
    assert cordon(await host.node("drain-c")) == (False, False)
    assert await host.going() == set()
    assert (await host.look(2)).changes == 0


async def _budget(host: Host, app: str, allowed: int) -> None:
    """A PodDisruptionBudget with the status that its controller would write."""
    await host.cluster.create({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": app, "namespace": NAMESPACE},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": app}}},
    })  # fmt: skip
    await _allow(host, app, allowed)


async def _allow(host: Host, app: str, allowed: int) -> None:
    found = await host.cluster.get(kinds.POD_DISRUPTION_BUDGET, app, NAMESPACE)
    counts = {"currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1}
    status = {"observedGeneration": found["metadata"]["generation"], "disruptionsAllowed": allowed}
    change = {"status": status | counts}
    await host.cluster.patch(kinds.POD_DISRUPTION_BUDGET, app, change, NAMESPACE, status=True)


async def test_a_budget_is_respected_patience_ends_and_the_nodes_can_be_kept_after_all(
    host: Host,
) -> None:
    await host.look(3)
    await host.pod("held-1", "drain-b")
    await _budget(host, "held", 0)
    await host.pod("w-1", "drain-a")
    await host.pod("w-2", "drain-a")
    await host.pod("w-3", "drain-c")
    await host.pod("w-4", "drain-c")
    for _ in range(2):
        blocked = await host.look(2)
        assert isinstance(blocked.outcome, Wait), blocked.outcome
        assert "drain-b: ray/held-1" in blocked.outcome.message
    assert await host.going() == set()
    assert await host.owned() == list(NODES)

    long_ago = {"metadata": {"annotations": {ANNOTATION_DRAINING: "2026-01-01T00:00:00+00:00"}}}
    await host.cluster.patch(kinds.NODE, "drain-b", long_ago)
    tired = await host.look(2)
    assert isinstance(tired.outcome, Failed), tired.outcome
    assert (tired.outcome.reason, tired.outcome.who) == ("NodesNotDrained", "team owner")
    assert "held-1" in tired.outcome.message
    assert await host.owned() == list(NODES)

    kept = await host.look(3)
    assert isinstance(kept.outcome, Done), kept.outcome
    assert cordon(await host.node("drain-b")) == (False, False)

    await host.look(2)
    await _allow(host, "held", 1)
    await host.look(2)
    assert await host.going() == {"held-1"}


async def test_past_the_deadline_a_budget_holds_no_node_and_pods_elsewhere_stay(
    host: Host,
) -> None:
    await host.look(3)
    await host.pod("held-1", "drain-b")
    await host.pod("held-2", "drain-a")
    await host.pod("w-1", "drain-a")
    for name in ("w-2", "w-3"):
        await host.pod(name, "drain-c")
    await _budget(host, "held", 0)
    for deadline in (None, 3600):
        blocked = await host.look(2, deadline=deadline)
        assert isinstance(blocked.outcome, Wait), blocked.outcome
    assert await host.going() == set()

    over = await host.look(2, deadline=0)
    assert isinstance(over.outcome, Wait)
    assert "deadline is over" in over.outcome.message
    assert await host.going() == {"held-1"}
    await host.stop("held-1")
    last = await host.look(2, deadline=0)
    assert isinstance(last.outcome, Done), last.outcome
    assert await host.owned() == ["drain-a", "drain-c"]
    assert await host.going() == set()


async def test_the_first_look_asks_within_the_budgets_whatever_the_deadline(host: Host) -> None:
    await host.look(3)
    for name, node in (("held-1", "drain-a"), ("w-1", "drain-b"), ("w-2", "drain-b")):
        await host.pod(name, node)
    for name in ("w-3", "w-4"):
        await host.pod(name, "drain-c")
    await _budget(host, "held", 0)
    await host.look(2, deadline=0)
    assert cordon(await host.node("drain-a")) == (True, True)
    assert await host.going() == set()


async def test_deletion_gives_back_a_node_that_has_lost_its_template(host: Host) -> None:
    await host.look(3)
    change = {"metadata": {"labels": {host.settings.node_label: None}}}
    await host.cluster.patch(kinds.NODE, "drain-b", change)
    for _ in range(3):
        over = await host.look(0, deleting=True)
    assert isinstance(over.outcome, Done), over.outcome
    assert await host.owned() == []


async def test_an_admins_cordon_stays_when_the_node_is_let_go(host: Host) -> None:
    await host.look(3)
    await host.cluster.patch(kinds.NODE, "drain-a", {"spec": {"unschedulable": True}})
    await host.pod("w-1", "drain-a")
    assert isinstance((await host.look(2)).outcome, Wait)
    await host.stop("w-1")
    assert isinstance((await host.look(2)).outcome, Done)
    assert await host.owned() == ["drain-b", "drain-c"]
    assert cordon(await host.node("drain-a")) == (True, False)


async def test_a_deletion_lifts_our_cordon_and_no_other(host: Host) -> None:
    await host.look(3)
    await host.pod("w-1", "drain-a")
    for name in ("w-2", "w-3", "w-4"):
        await host.pod(name, "drain-b")
    await host.cluster.patch(kinds.NODE, "drain-c", {"spec": {"unschedulable": True}})
    await host.look(1)
    assert cordon(await host.node("drain-a")) == (True, True)
    gone = await host.look(1, deleting=True)
    assert isinstance(gone.outcome, Done)
    assert await host.owned() == []
    assert [cordon(await host.node(n)) for n in NODES] == [
        (False, False), (False, False), (True, False),
    ]  # fmt: skip
