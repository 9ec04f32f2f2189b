"""Gangs on a real cluster: all or nothing, the small one past the large one, and always in the queue."""

import time
from collections.abc import Iterator

import pytest

from atoll.domain.names import RAY_NAMESPACE, pod_group_name, queue_name
from atoll.domain.ray_clusters import ray_cluster_manifest
from atoll.domain.schedulers import VOLCANO
from atoll.resources.virtual_clusters import RayClusterSpec
from e2e.clusters import small_ray
from e2e.figures import Figures
from e2e.kube import Kube, Object
from e2e.local import Local
from waiting import until

RAYS = f"/apis/ray.io/v1/namespaces/{RAY_NAMESPACE}/rayclusters"
GROUPS = f"/apis/scheduling.volcano.sh/v1beta1/namespaces/{RAY_NAMESPACE}/podgroups"


def manifest(spec: RayClusterSpec, like: Object) -> Object:
    """A Ray cluster with the version and image of one that runs."""
    container = like["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    return ray_cluster_manifest(
        spec, team="demo", virtual_cluster="demo", ray_version=like["spec"]["rayVersion"],
        image=container["image"],
    )  # fmt: skip


@pytest.fixture
def inside(platform: Local) -> Iterator[Kube]:
    """The API of the virtual cluster `demo`; Ray clusters that a test made are removed."""
    platform.demo()
    kube = platform.stage.inside("demo")
    yield kube
    for name in ("large", "small"):
        kube.delete(f"{RAYS}/{name}")
    until(
        lambda: {c["metadata"]["name"] for c in kube.items(RAYS)} <= {"demo"},
        "only the Ray cluster demo is left", 90,
    )  # fmt: skip


def bound(inside: Kube, cluster: str) -> list[str]:
    """Pods of a Ray cluster that the scheduler gave a node."""
    path = f"/api/v1/namespaces/{RAY_NAMESPACE}/pods?labelSelector=ray.io/cluster%3D{cluster}"
    return [p["metadata"]["name"] for p in inside.items(path) if p["spec"].get("nodeName")]


def on_host(platform: Local, cluster: str) -> list[str]:
    """Pods of a Ray cluster that reached the host."""
    pods = platform.stage.host.items("/api/v1/namespaces/vc-demo/pods")
    return [p["metadata"]["name"] for p in pods if p["metadata"]["name"].startswith(f"{cluster}-")]


def test_a_gang_too_large_waits_whole_while_a_smaller_one_runs(
    platform: Local, inside: Kube, figures: Figures
) -> None:
    demo = inside.get(f"{RAYS}/demo")
    assert demo is not None
    # Within the quota of 2 CPUs, for what can never fit is refused at once; but not beside `demo`.
    large = RayClusterSpec(name="large", workers=4, head_cpu="500m", head_memory="1Gi",
                           worker_cpu="300m", worker_memory="1Gi")  # fmt: skip
    answer = inside.create(RAYS, manifest(large, demo))
    assert answer.status_code == 201, answer.text
    group = f"{GROUPS}/{pod_group_name('large')}"

    def refused() -> str:
        status = (inside.get(group) or {}).get("status", {})
        said = [c for c in status.get("conditions", []) if c["type"] == "Unschedulable"]
        return str(said[-1]["message"]) if said else ""

    until(refused, "the scheduler says that the gang does not fit", 90)
    figures.note(f"gang of 5 on a node with room for less: {refused()}")

    began = time.monotonic()
    assert (
        inside.create(RAYS, manifest(small_ray("small", head_cpu="300m"), demo)).status_code == 201
    )
    until(
        lambda: (inside.get(f"{RAYS}/small") or {}).get("status", {}).get("state") == "ready",
        "the small Ray cluster is ready", 240,
    )  # fmt: skip
    figures.note(f"a smaller gang, made later, ran after {time.monotonic() - began:.1f} s")
    assert len(on_host(platform, "small")) == 2
    assert bound(inside, "large") == []
    assert on_host(platform, "large") == []
    assert (inside.get(group) or {})["status"]["phase"] in ("Pending", "Inqueue")


def test_a_ray_cluster_without_our_label_gets_it(inside: Kube) -> None:
    demo = inside.get(f"{RAYS}/demo")
    assert demo is not None
    bare = manifest(small_ray("small", head_cpu="300m"), demo)
    del bare["metadata"]["labels"]
    answer = inside.create(f"{RAYS}?dryRun=All", bare)
    assert answer.status_code == 201, answer.text
    assert answer.json()["metadata"]["labels"][VOLCANO.queue_label] == queue_name("demo")


def test_a_ray_cluster_cannot_choose_another_queue(inside: Kube) -> None:
    demo = inside.get(f"{RAYS}/demo")
    assert demo is not None
    sly = manifest(small_ray("small", head_cpu="300m"), demo)
    sly["metadata"]["labels"][VOLCANO.queue_label] = "default"
    answer = inside.create(f"{RAYS}?dryRun=All", sly)
    chosen = answer.json()["metadata"].get("labels", {}).get(VOLCANO.queue_label)
    # Refused, or put right: either way it is not in the queue it named.
    assert answer.status_code == 403 or chosen == queue_name("demo"), answer.text
