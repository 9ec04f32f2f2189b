"""RayJobs and RayServices as people write them, with kubectl: each Ray cluster of theirs is one gang."""

import time
from collections.abc import Iterator

import httpx2
import pytest

from atoll.contract.ray import RayJobCreate
from atoll.domain.gcs_store import fault_tolerance_options
from atoll.domain.names import RAY_NAMESPACE, pod_group_name, queue_name
from atoll.domain.ray_clusters import HEAD_SERVICE, ray_cluster_manifest, ray_image
from atoll.domain.schedulers import VOLCANO
from atoll.resources.virtual_clusters import RayClusterSpec
from e2e.clusters import Clusters, small_ray
from e2e.figures import Figures
from e2e.kube import Kube, Object
from e2e.local import Local
from e2e.test_gangs import GROUPS, RAYS
from waiting import until

NAME = "works"
QUOTA = {"cpu": "8", "memory": "24Gi"}
"""More than the one node has: what is too much is the node's to say. Twice a RayService must fit."""
JOBS = f"/apis/ray.io/v1/namespaces/{RAY_NAMESPACE}/rayjobs"
SERVICES = f"/apis/ray.io/v1/namespaces/{RAY_NAMESPACE}/rayservices"
PODS = f"/api/v1/namespaces/{RAY_NAMESPACE}/pods"
ADDRESSES = f"/api/v1/namespaces/{RAY_NAMESPACE}/services"
MAPS = f"/api/v1/namespaces/{RAY_NAMESPACE}/configmaps"
APPLICATION = """
from ray import serve


@serve.deployment(ray_actor_options={"num_cpus": 0.5})
class Answer:
    def __call__(self, request) -> str:
        return "six times seven is 42"


app = Answer.bind()
"""
SERVED = """
applications:
  - name: answer
    import_path: served:app
    route_prefix: /
"""


class Works:
    """The virtual cluster from inside."""

    def __init__(self, platform: Local, mode: str, version: str, image: str) -> None:
        self.platform, self.mode, self.version, self.image = platform, mode, version, image
        self.kube: Kube = platform.stage.inside(NAME)

    def ray_spec(self, shape: RayClusterSpec) -> Object:
        """What a RayJob or RayService says of its Ray cluster: nothing of gangs, Redis or addresses."""
        made = ray_cluster_manifest(
            shape, team=NAME, virtual_cluster=NAME, ray_version=self.version, image=self.image
        )
        spec: Object = made["spec"]
        assert spec.pop("gcsFaultToleranceOptions").keys() == fault_tolerance_options("x").keys()
        assert spec["headGroupSpec"].pop("headService") == {"spec": HEAD_SERVICE}
        return spec

    def ask(self, path: str, kind: str, name: str, spec: Object) -> httpx2.Response:
        body = {"apiVersion": "ray.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        return self.kube.create(path, body)

    def post(self, path: str, kind: str, name: str, spec: Object) -> None:
        answer = self.ask(path, kind, name, spec)
        assert answer.status_code == 201, answer.text

    def status(self, path: str) -> Object:
        found: Object = (self.kube.get(path) or {}).get("status") or {}
        return found

    def bound(self, cluster: str) -> list[str]:
        pods = self.kube.items(f"{PODS}?labelSelector=ray.io/cluster%3D{cluster}")
        return [pod["metadata"]["name"] for pod in pods if pod["spec"].get("nodeName")]

    def group_of(self, cluster: str) -> Object:
        return self.kube.get(f"{GROUPS}/{pod_group_name(cluster)}") or {}

    def is_one_gang(self, cluster: str, members: int, of: str = "") -> None:
        """Head and workers, no more and no fewer, in the team's queue; named after the RayJob if `of` one."""
        made = self.kube.get(f"{RAYS}/{cluster}") or {}
        assert made["metadata"]["labels"][VOLCANO.queue_label] == queue_name(NAME)
        group = self.group_of(of or cluster)
        assert (group["spec"]["minMember"], group["spec"]["queue"]) == (members, queue_name(NAME))

    def is_found_again(self, cluster: str) -> None:
        """Its head has an address that stays when its pod is another one."""
        label = f"ray.io/cluster%3D{cluster},ray.io/node-type%3Dhead"
        (service,) = self.kube.items(f"{ADDRESSES}?labelSelector={label}")
        assert service["spec"].items() >= HEAD_SERVICE.items()
        assert service["spec"]["clusterIP"] != "None"


IN_BOTH_MODES = pytest.mark.parametrize("works", ["dedicated", "shared"], indirect=True)
IN_DEDICATED_MODE = pytest.mark.parametrize("works", ["dedicated"], indirect=True)


@pytest.fixture(scope="module")
def works(request: pytest.FixtureRequest, platform: Local, figures: Figures) -> Iterator[Works]:
    """A virtual cluster in the mode that the test asks for."""
    made = Clusters(platform, figures)
    with platform.client() as client:
        ray = client.profiles.get("default").spec.ray
    try:
        made.ask(NAME, mode=request.param, amounts=QUOTA)
        made.ready(NAME)
        yield Works(platform, request.param, ray.version, ray_image(ray.image, ray.version))
    finally:
        made.remove_all()


@IN_BOTH_MODES
def test_a_ray_job_is_one_gang_and_its_submitter_is_not_of_it(
    works: Works, figures: Figures
) -> None:
    script = "import ray; ray.init(); print(ray.get(ray.remote(lambda: 6 * 7).remote()))"
    job = f"{JOBS}/count"
    began = time.monotonic()
    works.post(JOBS, "RayJob", "count", {
        "entrypoint": f"python -c '{script}'", "shutdownAfterJobFinishes": True,
        "rayClusterSpec": works.ray_spec(small_ray()),
    })  # fmt: skip
    try:
        until(lambda: works.status(job).get("rayClusterName"), "KubeRay makes its Ray cluster", 60)
        cluster = works.status(job)["rayClusterName"]
        until(lambda: len(works.bound(cluster)) >= 2, "head and worker are placed", 120)
        works.is_one_gang(cluster, 2, of="count")
        works.is_found_again(cluster)
        # Admission learns of a kind that was made lately within half a minute.
        dry, spec = f"{RAYS}?dryRun=All", works.ray_spec(small_ray())
        until(
            lambda: "would be one gang" in works.ask(dry, "RayCluster", "count", spec).text,
            "a RayCluster of the RayJob's name is refused", 60,
        )  # fmt: skip
        ended = ("SUCCEEDED", "FAILED")
        until(lambda: works.status(job).get("jobStatus") in ended, "the job ends", 300)
        assert works.status(job)["jobStatus"] == "SUCCEEDED", works.status(job)
        figures.note(
            f"a RayJob by kubectl ({works.mode}), to SUCCEEDED: {time.monotonic() - began:.1f} s"
        )
        until(lambda: not works.kube.items(RAYS), "its Ray cluster is gone", 120)
    finally:
        works.kube.delete(job)
        until(lambda: works.kube.get(job) is None, "the job is gone", 120)


def service_spec(works: Works, shape: RayClusterSpec) -> Object:
    ray = works.ray_spec(shape)
    for group in (ray["headGroupSpec"], *ray["workerGroupSpecs"]):
        pod = group["template"]["spec"]
        pod["volumes"] = [{"name": "served", "configMap": {"name": "served"}}]
        (container,) = pod["containers"]
        container["volumeMounts"] = [{"name": "served", "mountPath": "/served"}]
        container["env"] = [{"name": "PYTHONPATH", "value": "/served"}]
        # KubeRay's own: it knows by them whether a pod serves.
        container.pop("readinessProbe", None)
    head = ray["headGroupSpec"]["template"]["spec"]["containers"][0]
    head["ports"] += [{"name": "serve", "containerPort": 8000}]  # KubeRay asks for it by this name
    return {"serveConfigV2": SERVED, "rayClusterConfig": ray}


@pytest.fixture
def service(works: Works) -> Iterator[str]:
    """A RayService that answers, by the path of its object."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "served"},
            "data": {"served.py": APPLICATION}}  # fmt: skip
    assert works.kube.create(MAPS, body).status_code == 201
    works.post(SERVICES, "RayService", "served", service_spec(works, small_ray()))
    path = f"{SERVICES}/served"
    yield path
    works.kube.delete(path)
    until(lambda: not works.kube.items(RAYS), "the service and its Ray clusters are gone", 120)
    works.kube.delete(f"{MAPS}/served")  # its clean-up pods mount it, too


def ready(works: Works, path: str) -> bool:
    conditions = works.status(path).get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def answers(works: Works, cluster: str, name: str) -> str:
    """What the service says to whoever asks it from inside the virtual cluster."""
    ask = 'import urllib.request as r; print(r.urlopen("http://served-serve-svc:8000/").read())'
    job = RayJobCreate(name=name, cluster=cluster, entrypoint=f"python -c '{ask}'")
    with works.platform.client() as client:
        client.ray_jobs.submit(NAME, job)
        done = client.ray_jobs.wait(NAME, name, deadline=time.monotonic() + 120)
        said = "".join(client.ray_jobs.logs(NAME, name))
        assert done.status == "SUCCEEDED", f"{done}\n{said}"
        return said


@IN_DEDICATED_MODE
def test_a_ray_service_is_a_gang_and_an_upgrade_without_room_takes_nothing_from_it(
    works: Works, service: str, figures: Figures
) -> None:
    began = time.monotonic()
    until(lambda: ready(works, service), "the service is ready", 300)
    figures.note(f"a RayService by kubectl, to Ready: {time.monotonic() - began:.1f} s")
    old = works.status(service)["activeServiceStatus"]["rayClusterName"]
    works.is_one_gang(old, 2)
    works.is_found_again(old)
    # Its pods serve a moment before KubeRay calls the Ray cluster itself ready.
    until(lambda: works.status(f"{RAYS}/{old}").get("state") == "ready", f"{old} is ready", 60)
    assert "six times seven is 42" in answers(works, old, "before")

    # An upgrade is a second Ray cluster beside the first. This one fits the quota, not beside the first.
    large = RayClusterSpec(name="large", workers=3, head_cpu="500m", head_memory="1Gi",
                           worker_cpu="450m", worker_memory="1Gi")  # fmt: skip
    works.kube.patch(service, {"spec": service_spec(works, large)})

    def coming() -> str:
        pending = works.status(service).get("pendingServiceStatus") or {}
        return str(pending.get("rayClusterName", ""))

    until(coming, "KubeRay makes the Ray cluster of the upgrade", 120)
    new = coming()

    def waits() -> bool:
        status = works.group_of(new).get("status", {})
        return any(c["type"] == "Unschedulable" for c in status.get("conditions", []))

    until(waits, "the scheduler says that the upgrade does not fit", 120)
    works.is_one_gang(new, 4)
    assert works.bound(new) == []
    assert len(works.bound(old)) == 2
    assert "six times seven is 42" in answers(works, old, "meanwhile")
    figures.note(
        "a RayService whose upgrade found no room went on answering; no pod of it was bound"
    )
