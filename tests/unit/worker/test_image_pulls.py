"""An image that cannot be pulled is what a step waits for, and it says so."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import Kind
from atoll.resources.virtual_clusters import VirtualCluster
from atoll_worker.reconcile.outcome import Outcome, Wait
from atoll_worker.reconcile.ports import Release
from atoll_worker.reconcile.step import Step
from atoll_worker.reconcile.steps.control_plane import ControlPlane
from atoll_worker.reconcile.steps.ray_clusters import RayClusters
from atoll_worker.reconcile.steps.redis import Redis


class Shelf:
    """A cluster's objects in memory, read as the steps read them."""

    def __init__(self, *objects: Object) -> None:
        self.objects = objects

    async def find(self, kind: Kind, name: str, namespace: str | None = None) -> Object | None:
        return next((o for o in await self.items(kind) if o["metadata"]["name"] == name), None)

    async def items(
        self, kind: Kind, namespace: str | None = None, labels: dict[str, str] | None = None
    ) -> list[Object]:
        return [
            item
            for item in self.objects
            if item["kind"] == kind.kind
            and (labels or {}).items() <= item["metadata"].get("labels", {}).items()
        ]


def stateful_set(name: str, ready: int = 0) -> Object:
    return {
        "kind": "StatefulSet",
        "metadata": {"name": name, "namespace": "vc-a", "generation": 1},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": name}}},
        "status": {"observedGeneration": 1, "readyReplicas": ready, "updatedReplicas": 1},
    }


def pod(name: str, image: str, **labels: str) -> Object:
    waiting = {"reason": "ErrImagePull", "message": f"{image}: not found"}
    return {
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "vc-a", "labels": labels},
        "status": {"containerStatuses": [{"image": image, "state": {"waiting": waiting}}]},
    }


async def look(step: Step, host: Shelf, inside: Shelf | None = None) -> Outcome:
    async def find_release(*_: Any) -> Release | None:
        return None

    async def tenant() -> Cluster:
        return cast(Cluster, inside)

    spec = {"team": "red", "replicaSets": {"4c8g": 1}, "rayClusters": [{"name": "main"}]}
    scope: Any = SimpleNamespace(
        vc=VirtualCluster.model_validate({"metadata": {"name": "a"}, "spec": spec}),
        host=host, inside=tenant, namespace="vc-a", external=None, refusals={},
        releases=SimpleNamespace(find=find_release),
        settings=SimpleNamespace(node_label="atoll.dev/node-template"),
        versions=SimpleNamespace(
            spec=SimpleNamespace(
                redis=SimpleNamespace(replicas=1), scheduler=SimpleNamespace(name="volcano")
            )
        ),
    )  # fmt: skip
    outcome: Outcome = step.judge(scope, await step.observe(scope))
    return outcome


@pytest.mark.parametrize(
    ("step", "name"), [(ControlPlane(), "a"), (Redis(), "redis")], ids=["control plane", "Redis"]
)
async def test_pods_of_the_host(step: Step, name: str) -> None:
    theirs = pod("other-0", "other:1", app="other")
    host = Shelf(stateful_set(name), pod(f"{name}-0", "wrong:1", app=name), theirs)
    outcome = await look(step, host)
    assert isinstance(outcome, Wait)
    assert outcome.reason == "ImageNotPulled"
    assert f"image wrong:1 of pod {name}-0: wrong:1: not found" in outcome.message
    assert "other:1" not in outcome.message


@pytest.mark.parametrize(("step", "name"), [(ControlPlane(), "a"), (Redis(), "redis")])
async def test_one_that_starts_as_it_should(step: Step, name: str) -> None:
    outcome = await look(step, Shelf(stateful_set(name)))
    assert isinstance(outcome, Wait)
    assert outcome.reason == "Starting"


@pytest.mark.parametrize("stuck", [True, False])
async def test_the_head_of_a_ray_cluster(*, stuck: bool) -> None:
    cluster = {"kind": "RayCluster", "metadata": {"name": "main", "generation": 1}}
    labels = {"ray.io/cluster": "main" if stuck else "other", "ray.io/node-type": "head"}
    head = pod("main-head", "ray:33", **labels)
    outcome = await look(RayClusters(), Shelf(), Shelf(cluster, head))
    assert isinstance(outcome, Wait)
    assert outcome.reason == ("ImageNotPulled" if stuck else "RayClustersStarting")
    assert ("main: image ray:33 of pod main-head: ray:33: not found" in outcome.message) is stuck
