"""YuniKorn instead of Volcano, by the profile alone: Ready, gangs whole, always in the queue."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from atoll.domain.names import RAY_NAMESPACE, queue_name
from atoll.domain.ray_clusters import ray_cluster_manifest, ray_image
from atoll.domain.schedulers import YUNIKORN
from atoll.resources.virtual_clusters import RayClusterSpec
from e2e.clusters import Clusters, small_ray
from e2e.figures import Figures
from e2e.kube import Kube, Object
from e2e.local import Local
from e2e.test_gangs import RAYS
from waiting import until

NAME = "horn"
QUOTA = {"cpu": "8", "memory": "12Gi"}
"""More than the one node has: what is too much is the node's to say, not the queue's."""
PODS = f"/api/v1/namespaces/{RAY_NAMESPACE}/pods"


@dataclass(frozen=True)
class Tenant:
    """The virtual cluster from inside, and the Ray that its profile names."""

    inside: Kube
    version: str
    image: str
    uids: dict[str, str] = field(default_factory=dict)

    def manifest(self, spec: RayClusterSpec) -> Object:
        """A Ray cluster with nothing that a scheduler reads, as somebody writes it who knows none."""
        made = ray_cluster_manifest(
            spec, team=NAME, virtual_cluster=NAME, scheduler="yunikorn",
            ray_version=self.version, image=self.image,
        )  # fmt: skip
        del made["metadata"]["labels"]
        return made

    def create(self, spec: RayClusterSpec) -> None:
        answer = self.inside.create(RAYS, self.manifest(spec))
        assert answer.status_code == 201, answer.text
        self.uids[spec.name] = answer.json()["metadata"]["uid"]

    def state(self, cluster: str) -> str:
        return str((self.inside.get(f"{RAYS}/{cluster}") or {}).get("status", {}).get("state"))

    def pods(self, cluster: str) -> list[Object]:
        """Head and workers, without placeholders."""
        return self.inside.items(f"{PODS}?labelSelector=ray.io/cluster%3D{cluster}")

    def places(self, cluster: str) -> list[Object]:
        """The placeholders by which YuniKorn reserves places for a gang."""
        label = f"{YUNIKORN.identity_label}%3Dray-{self.uids[cluster]}"
        found = self.inside.items(f"{PODS}?labelSelector={label}")
        return [pod for pod in found if "ray.io/cluster" not in pod["metadata"]["labels"]]

    def ready(self, cluster: str, seconds: float = 240) -> None:
        until(lambda: self.state(cluster) == "ready", f"Ray cluster {cluster} is ready", seconds)

    def remove(self, cluster: str) -> None:
        """Delete a Ray cluster, and wait until nothing of its gang is left."""
        self.inside.delete(f"{RAYS}/{cluster}")
        until(lambda: self.inside.get(f"{RAYS}/{cluster}") is None, f"{cluster} is gone", 90)
        until(lambda: not self.pods(cluster), f"the pods of {cluster} are gone", 60)
        if cluster in self.uids:
            until(lambda: not self.places(cluster), f"the places of {cluster} are given up", 60)


@pytest.fixture(scope="module")
def tenant(platform: Local, figures: Figures) -> Iterator[Tenant]:
    """A virtual cluster with the bundle's profile `yunikorn`."""
    with platform.client() as client:
        profile = next((p for p in client.profiles.all() if p.name == "yunikorn"), None)
    if profile is None:
        pytest.skip("the bundle has no chart yunikorn")
    made = Clusters(platform, figures)
    try:
        with figures.timed("virtual cluster with YuniKorn, to Ready"):
            made.ask(NAME, profile="yunikorn", amounts=QUOTA)
            made.ready(NAME)
        ray = profile.spec.ray
        yield Tenant(platform.stage.inside(NAME), ray.version, ray_image(ray.image, ray.version))
    finally:
        made.remove_all()


@pytest.fixture(autouse=True)
def tidy(tenant: Tenant) -> Iterator[None]:
    """No test's Ray clusters outlive it."""
    yield
    for cluster in tenant.inside.items(RAYS):
        tenant.remove(cluster["metadata"]["name"])


def bound(found: list[Object]) -> list[str]:
    return [pod["metadata"]["name"] for pod in found if pod["spec"].get("nodeName")]


def test_every_pod_of_a_gang_is_in_the_teams_queue_and_no_volcano_is_there(tenant: Tenant) -> None:
    served = {one["name"] for one in (tenant.inside.get("/apis") or {})["groups"]}
    assert "scheduling.volcano.sh" not in served
    tenant.create(small_ray("first"))
    tenant.ready("first")
    found = tenant.pods("first")
    assert len(bound(found)) == 2
    for pod in found:
        assert pod["spec"]["schedulerName"] == "yunikorn"
        assert pod["metadata"]["labels"]["queue"] == f"root.{queue_name(NAME)}"
        assert pod["metadata"]["labels"][YUNIKORN.identity_label] == f"ray-{tenant.uids['first']}"
    # Every place that was held for it is given up.
    until(lambda: not tenant.places("first"), "no placeholder is left", 60)


def test_nothing_stands_before_pods_that_could_be_down(tenant: Tenant) -> None:
    for kind in ("mutating", "validating"):
        path = f"/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations"
        assert tenant.inside.items(path) == []


def test_a_gang_too_large_waits_whole_while_a_smaller_one_runs(
    tenant: Tenant, figures: Figures
) -> None:
    # Head and workers are within the quota and above what the one node has. Not even one of the workers
    # has its place there, beside the platform's pods: a place that is held is not free for the smaller one.
    tenant.create(RayClusterSpec(name="large", workers=4, head_cpu="100m", head_memory="256Mi",
                                 worker_cpu="1900m", worker_memory="1Gi"))  # fmt: skip
    until(lambda: len(tenant.places("large")) == 5, "the scheduler asks for five places", 60)
    began = time.monotonic()
    tenant.create(small_ray("small"))
    tenant.ready("small")
    figures.note(
        f"YuniKorn: a smaller gang, made later, ran after {time.monotonic() - began:.1f} s"
    )
    assert len(tenant.pods("large")) == 5
    assert bound(tenant.pods("large")) == []
    held = len(bound(tenant.places("large")))
    figures.note(f"YuniKorn: the waiting gang of 5 holds {held} places and runs no pod")
    assert held < 5


def test_a_gang_that_waited_starts_whole_when_there_is_room(
    tenant: Tenant, figures: Figures
) -> None:
    tenant.create(small_ray("before"))
    tenant.ready("before")
    # With `before` (700m) this does not fit on two CPUs; alone it does.
    tenant.create(RayClusterSpec(name="after", workers=2, head_cpu="500m", head_memory="1Gi",
                                 worker_cpu="350m", worker_memory="1Gi"))  # fmt: skip
    until(lambda: len(tenant.places("after")) == 3, "the scheduler asks for three places", 60)
    assert bound(tenant.pods("after")) == []
    began = time.monotonic()
    tenant.remove("before")
    tenant.ready("after")
    figures.note(f"YuniKorn: it ran {time.monotonic() - began:.1f} s after room was made")
    assert len(bound(tenant.pods("after"))) == 3


def test_the_same_name_in_another_life_is_a_gang_again(tenant: Tenant) -> None:
    """YuniKorn gangs an application once, and keeps one that has ended for half a minute."""
    for _ in range(2):
        tenant.create(small_ray("again"))
        until(lambda: tenant.places("again"), "places are asked for", 60)
        tenant.ready("again")
        tenant.remove("again")


def test_a_ray_job_runs_with_a_gang_of_its_own_for_each_try(tenant: Tenant) -> None:
    cluster = tenant.manifest(small_ray("job"))
    del cluster["spec"]["gcsFaultToleranceOptions"]  # those of a RayCluster of that name
    script = "import ray; ray.init(); print(ray.get(ray.remote(lambda: 42).remote()))"
    job = {
        "apiVersion": "ray.io/v1", "kind": "RayJob",
        "metadata": {"name": "count", "namespace": RAY_NAMESPACE},
        "spec": {"entrypoint": f"python -c '{script}'", "rayClusterSpec": cluster["spec"],
                 "shutdownAfterJobFinishes": True},
    }  # fmt: skip
    path = f"/apis/ray.io/v1/namespaces/{RAY_NAMESPACE}/rayjobs"
    answer = tenant.inside.create(path, job)
    assert answer.status_code == 201, answer.text

    def status() -> Object:
        found: Object = (tenant.inside.get(f"{path}/count") or {}).get("status", {})
        return found

    try:
        until(lambda: status().get("rayClusterName"), "KubeRay makes the job's Ray cluster", 60)
        made = tenant.inside.get(f"{RAYS}/{status()['rayClusterName']}") or {}
        name = made["metadata"]["name"]
        assert made["metadata"]["labels"].items() >= YUNIKORN.labels(queue_name(NAME)).items()
        until(lambda: len(tenant.pods(name)) == 2, "its head and worker are made", 60)
        gangs = {pod["metadata"]["labels"][YUNIKORN.identity_label] for pod in tenant.pods(name)}
        assert gangs == {f"ray-{made['metadata']['uid']}"}
        until(lambda: status().get("jobStatus") in ("SUCCEEDED", "FAILED"), "the job ends", 300)
        assert status()["jobStatus"] == "SUCCEEDED", status()
    finally:
        tenant.inside.delete(f"{path}/count")
        until(lambda: tenant.inside.get(f"{path}/count") is None, "the job is gone", 90)


def test_a_queue_of_ones_own_choice_is_put_right(tenant: Tenant) -> None:
    sly = tenant.manifest(small_ray("sly"))
    sly["metadata"]["labels"] = {YUNIKORN.queue_label: "root.default"}
    answer = tenant.inside.create(f"{RAYS}?dryRun=All", sly)
    assert answer.status_code == 201, answer.text
    ours = YUNIKORN.labels(queue_name(NAME))
    assert answer.json()["metadata"]["labels"].items() >= ours.items()


def test_a_gang_of_ones_own_definition_is_refused(tenant: Tenant) -> None:
    sly = tenant.manifest(small_ray("sly"))
    sly["metadata"]["annotations"] = {YUNIKORN.gang_annotation: "[]"}
    answer = tenant.inside.create(f"{RAYS}?dryRun=All", sly)
    assert answer.status_code == 403
    assert f"Remove the annotation {YUNIKORN.gang_annotation}" in answer.json()["message"]


def test_a_pod_that_names_another_queue_is_never_bound(tenant: Tenant) -> None:
    """Below the Ray workload, where no policy looks: there is no other queue to be in."""
    spec = {"schedulerName": "yunikorn", "containers": [{"name": "c", "image": tenant.image}]}
    labels = {YUNIKORN.queue_label: "root.default", YUNIKORN.identity_label: "sly"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "sly", "labels": labels}}
    assert tenant.inside.create(PODS, {**pod, "spec": spec}).status_code == 201

    def refused() -> str:
        status = (tenant.inside.get(f"{PODS}/sly") or {}).get("status", {})
        return str(status.get("reason", "")) if status.get("phase") == "Failed" else ""

    try:
        until(refused, "the scheduler refuses the pod", 60)
        assert refused() == "ApplicationRejected"
        assert "nodeName" not in (tenant.inside.get(f"{PODS}/sly") or {})["spec"]
    finally:
        tenant.inside.delete(f"{PODS}/sly")
