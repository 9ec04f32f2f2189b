"""The admission inside a virtual cluster, on a real API server: who asks for what, and what comes of it."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from atoll.cluster.client import Cluster
from atoll.cluster.drift import says
from atoll.domain.ray_clusters import ray_cluster_manifest
from atoll.domain.schedulers import VOLCANO
from atoll.resources.virtual_clusters import RayClusterSpec
from atoll_worker.reconcile.policies.everything import policy_manifests
from atoll_worker.reconcile.policies.manifests import Enforced
from e2e.kube import Kube, Object
from waiting import until

QUEUE, QUEUE_LABEL = "team-a", VOLCANO.queue_label
QUOTA = {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": "2", "pods": "20"}
PATHS = {
    "RayCluster": "/apis/ray.io/v1/namespaces/ray/rayclusters",
    "RayJob": "/apis/ray.io/v1/namespaces/ray/rayjobs",
    "RayService": "/apis/ray.io/v1/namespaces/ray/rayservices",
    "Pod": "/api/v1/namespaces/other/pods",
    "PodGroup": "/apis/scheduling.volcano.sh/v1beta1/namespaces/other/podgroups",
    "Queue": "/apis/scheduling.volcano.sh/v1beta1/queues",
}
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
Change = Callable[[Object], Any]


def ray_cluster(workers: int = 1, **more: Any) -> Object:
    spec = RayClusterSpec(name="rays", workers=workers, **more)
    return ray_cluster_manifest(
        spec, team="a", virtual_cluster="x", scheduler="volcano", ray_version="2.60.0", image="ray"
    )


def ray_job(workers: int = 1) -> Object:
    made = ray_cluster(workers)
    spec = {"entrypoint": "true", "rayClusterSpec": made.pop("spec")}
    return {**made, "kind": "RayJob", "spec": spec}


def ray_service() -> Object:
    made = ray_cluster()
    return {**made, "kind": "RayService", "spec": {"rayClusterConfig": made.pop("spec")}}


def cluster_of(workload: Object) -> Object:
    spec: Object = workload["spec"]
    return spec.get("rayClusterSpec") or spec.get("rayClusterConfig") or spec


def worker_pod(workload: Object) -> Object:
    pod: Object = cluster_of(workload)["workerGroupSpecs"][0]["template"]
    return pod


def pod(**spec: Any) -> Object:
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bare", "annotations": {}},
        "spec": {"containers": [{"name": "c", "image": "c"}], **spec},
    }  # fmt: skip


async def put(file: Path, mutating: str | None, quota: dict[str, str] | None = None) -> None:
    async with Cluster.from_file(file) as cluster:
        enforced = Enforced(
            QUEUE,
            "x",
            {QUEUE_LABEL: f"'{QUEUE}'"},
            QUOTA if quota is None else quota,
            mutating=mutating,
        )
        for manifest in policy_manifests(enforced, {}):
            # The worker writes what differs: it would write at every look otherwise.
            assert says(await cluster.apply(manifest), manifest), manifest["metadata"]["name"]


@pytest.fixture
async def kube(inside_file: Path) -> Kube:
    """With validation alone, as where the API server cannot mutate."""
    await put(inside_file, None)
    kube = Kube.from_file(inside_file)
    for kind in ("mutatingadmissionpolicybindings", "mutatingadmissionpolicies"):
        for found in kube.items(f"{ADMISSION}/{kind}"):
            kube.delete(f"{ADMISSION}/{kind}/{found['metadata']['name']}")
    until(lambda: try_pod(kube).status_code == 403, "validation holds and nothing is put in", 30)
    until(lambda: try_queue(kube).status_code == 403, "mutation has ended", 30)
    return kube


@pytest.fixture
async def mutating(inside_file: Path, kube: Kube) -> Kube:
    """With mutation on top."""
    await put(inside_file, "v1")
    until(lambda: try_pod(kube).status_code == 201, "pods are put right", 30)
    until(lambda: try_queue(kube).status_code == 201, "Ray workloads are put right", 30)
    until(lambda: ask(kube, group("default")).status_code == 201, "groups are put right", 30)
    return kube


def try_pod(kube: Kube) -> httpx2.Response:
    return ask(kube, pod())


def try_queue(kube: Kube) -> httpx2.Response:
    made = ray_cluster()
    made["metadata"]["labels"][QUEUE_LABEL] = "default"
    return ask(kube, made)


def group(queue: str) -> Object:
    return {
        "apiVersion": "scheduling.volcano.sh/v1beta1", "kind": "PodGroup",
        "metadata": {"name": "g"}, "spec": {"minMember": 2, "queue": queue},
    }  # fmt: skip


def ask(kube: Kube, manifest: Object) -> httpx2.Response:
    """A create that leaves nothing behind."""
    return kube.create(f"{PATHS[manifest['kind']]}?dryRun=All", manifest)


def _set(path: str, value: Any) -> Change:
    """A change of the worker's pod template, by a path with dots."""

    def change(workload: Object) -> None:
        here: Any = worker_pod(workload)
        *way, last = path.split(".")
        for part in way:
            here = here[int(part)] if part.isdigit() else here.setdefault(part, {})
        here[last] = value

    return change


def _meta(part: str, key: str, value: str) -> Change:
    return lambda workload: workload["metadata"].setdefault(part, {}).update({key: value})


def _lowest(least: int, most: int) -> Change:
    def change(workload: Object) -> None:
        cluster_of(workload)["enableInTreeAutoscaling"] = True
        cluster_of(workload)["workerGroupSpecs"][0] |= {"minReplicas": least, "maxReplicas": most}

    return change


def _workers(count: int) -> Change:
    return lambda workload: cluster_of(workload)["workerGroupSpecs"][0].update(
        replicas=count, minReplicas=count, maxReplicas=count
    )


REFUSED: dict[str, tuple[Change, str]] = {
    "another queue": (_meta("labels", QUEUE_LABEL, "default"), f"Set the label {QUEUE_LABEL}"),
    "no queue": (lambda w: w["metadata"]["labels"].pop(QUEUE_LABEL), "Set the label"),
    "not to be preempted": (
        _meta("annotations", "volcano.sh/preemptable", "false"), "not a workload's choice"),
    "not to be preempted, by its pods": (
        _set("metadata.annotations", {"volcano.sh/preemptable": "false"}), "not a workload's"),
    "another gang": (
        _set("metadata.annotations", {"scheduling.k8s.io/group-name": "g"}), "not a workload's"),
    "another queue by its pods": (
        _set("metadata.labels", {QUEUE_LABEL: "default"}), "off the pod templates"),
    "another scheduler": (_set("spec.schedulerName", "default-scheduler"), "schedulerName"),
    "a node": (_set("spec.nodeName", "n1"), "nodeName"),
    "a system priority": (_set("spec.priorityClassName", "system-node-critical"), "atoll-high"),
    "a system priority of its gang": (
        _meta("labels", "ray.io/priority-class-name", "system-node-critical"), "atoll-high"),
    "every taint": (_set("spec.tolerations", [{"operator": "Exists"}]), "tolerate"),
    "another's taint": (
        _set("spec.tolerations", [{"key": "atoll.dev/virtual-cluster", "value": "y"}]),
        "tolerate"),
    "no limits": (_set("spec.containers.0.resources", {}), "limits of cpu and memory"),
    "the host's network": (_set("spec.hostNetwork", True), "hostNetwork"),
    "the host's files": (
        _set("spec.volumes", [{"name": "v", "hostPath": {"path": "/"}}]), "hostPath"),
    "privilege": (
        _set("spec.containers.0.securityContext", {"privileged": True}), "privileged"),
    "a port of the host": (
        _set("spec.containers.0.ports", [{"containerPort": 1, "hostPort": 1}]), "hostPort"),
    "a least number above the most": (_lowest(2, 1), "never be complete"),
    "autoscaling from above the quota": (_lowest(9, 20), "would wait for ever"),
    "more than the whole quota": (_workers(9), "the whole quota of virtual cluster x is 4"),
}  # fmt: skip


@pytest.mark.parametrize("make", [ray_cluster, ray_job, ray_service])
@pytest.mark.parametrize("name", REFUSED)
def test_what_breaks_the_rules_is_refused_in_words(
    kube: Kube, make: Callable[[], Object], name: str
) -> None:
    change, words = REFUSED[name]
    workload = make()
    assert ask(kube, workload).status_code == 201
    change(workload)
    answer = ask(kube, workload)
    assert answer.status_code == 403, answer.text
    assert words in answer.json()["message"]


def test_what_keeps_the_rules_is_let_in(kube: Kube) -> None:
    for change in (
        _set("spec.tolerations", [{"key": "nvidia.com/gpu", "operator": "Exists"}]),
        _set("spec.priorityClassName", "atoll-high"),
        _set("spec.nodeSelector", {"kind": "fast"}),
        _lowest(1, 50),
        _workers(3),
    ):
        workload = ray_cluster()
        worker_pod(workload)["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] = "1"
        change(workload)
        answer = ask(kube, workload)
        assert answer.status_code == 201, answer.text


@pytest.mark.parametrize("none", ["0", 0, "0m", "0.0"])
def test_asking_for_none_of_a_device_is_no_reason_to_tolerate_its_taint(
    kube: Kube, none: str | int
) -> None:
    workload = ray_cluster()
    _set("spec.tolerations", [{"key": "nvidia.com/gpu", "operator": "Exists"}])(workload)
    amounts = worker_pod(workload)["spec"]["containers"][0]["resources"]["limits"]
    amounts["nvidia.com/gpu"] = none
    answer = ask(kube, workload)
    assert answer.status_code == 403, answer.text
    assert "tolerate the taints" in answer.json()["message"]
    amounts["nvidia.com/gpu"] = 1
    assert ask(kube, workload).status_code == 201


def test_the_submitter_of_a_job_counts_and_may_not_be_forgotten(kube: Kube) -> None:
    job = ray_job()
    _workers(3)(job)
    cluster_of(job)["headGroupSpec"]["template"]["spec"]["containers"][0]["resources"] = {
        "limits": {"cpu": "1", "memory": "1Gi"}
    }
    answer = ask(kube, job)  # 1 + 3 x 1 is the quota; the submitter's 0.5 is above it
    assert answer.status_code == 403
    assert "4.5 cpu" in answer.json()["message"]
    job["spec"]["submissionMode"] = "HTTPMode"
    assert ask(kube, job).status_code == 201


def test_an_upgrade_that_cannot_fit_is_warned_of(kube: Kube) -> None:
    service = ray_service()
    assert "Warning" not in ask(kube, service).headers
    _workers(2)(service)  # 0.5 + 2 x 1, twice, is more than 4
    answer = ask(kube, service)
    assert answer.status_code == 201
    assert "new cluster beside the old one" in answer.headers["Warning"]
    service["spec"]["upgradeStrategy"] = {"type": "None"}
    assert "Warning" not in ask(kube, service).headers


def test_a_job_on_a_running_cluster_is_shown_the_way(kube: Kube) -> None:
    job = ray_job()
    job["spec"] = {"entrypoint": "true", "clusterSelector": {"ray.io/cluster": "rays"}}
    answer = ask(kube, job)
    assert answer.status_code == 403
    assert "Ray's job API" in answer.json()["message"]


@pytest.fixture
def made(kube: Kube) -> Iterator[Object]:
    """A Ray cluster of three workers, stored."""
    answer = kube.create(PATHS["RayCluster"], ray_cluster(workers=3))
    assert answer.status_code == 201, answer.text
    yield answer.json()
    change = {"metadata": {"finalizers": None}}
    kube.send("PATCH", f"{PATHS['RayCluster']}/rays", change)
    kube.delete(f"{PATHS['RayCluster']}/rays")


def test_the_queue_cannot_be_left_later(kube: Kube, made: Object) -> None:
    path = f"{PATHS['RayCluster']}/rays"
    for label in ("default", None):
        answer = kube.send("PATCH", path, {"metadata": {"labels": {QUEUE_LABEL: label}}})
        assert answer.status_code == 403, answer.text
    status = kube.send("PATCH", path, {"metadata": {"annotations": {"note": "of mine"}}})
    assert status.status_code == 200


def test_what_is_held_back_for_lack_of_quota_is_resumed_by_the_worker_alone(
    kube: Kube, made: Object, owner: Kube
) -> None:
    path, note = f"{PATHS['RayCluster']}/rays", "atoll.dev/over-quota"
    held = {"metadata": {"annotations": {note: "true"}}, "spec": {"suspend": True}}
    kube.patch(path, held)
    resumed, freed = {"spec": {"suspend": False}}, {"metadata": {"annotations": {note: None}}}
    for change in (resumed, freed, resumed | freed):
        answer = owner.send("PATCH", path, change)
        assert answer.status_code == 403, answer.text
        assert "all Ray clusters of the quota are taken" in answer.json()["message"]
    other = owner.send("PATCH", path, {"metadata": {"annotations": {"note": "of mine"}}})
    assert other.status_code == 200, other.text
    kube.patch(path, resumed | freed)


async def test_running_work_stays_and_may_shrink_when_the_quota_is_lowered(
    kube: Kube, made: Object, inside_file: Path
) -> None:
    path = f"{PATHS['RayCluster']}/rays"
    await put(inside_file, None, {"cpu": "1"})

    def resize(count: int) -> httpx2.Response:
        groups = copy.deepcopy(made["spec"]["workerGroupSpecs"])
        groups[0] |= {"replicas": count, "minReplicas": count, "maxReplicas": count}
        body = {"spec": {"workerGroupSpecs": groups}}
        return kube.send("PATCH", f"{path}?dryRun=All", body)

    until(lambda: resize(4).status_code == 403, "the lower quota holds", 30)
    assert resize(2).status_code == 200
    held = kube.send("PATCH", path, {"metadata": {"finalizers": ["ray.io/keep"]}})
    assert held.status_code == 200
    kube.delete(path)
    let_go = kube.send("PATCH", path, {"metadata": {"finalizers": None}})
    assert let_go.status_code == 200, let_go.text


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p["spec"].update(schedulerName="default-scheduler"),
        lambda p: p["metadata"]["annotations"].clear(),
        lambda p: p["metadata"]["annotations"].update({"scheduling.volcano.sh/queue-name": "b"}),
        lambda p: p["metadata"].update(labels={QUEUE_LABEL: "b"}),
        lambda p: p["metadata"]["annotations"].update({"volcano.sh/preemptable": "false"}),
        lambda p: p["spec"].update(nodeName="n1"),
    ],
)
def test_a_pod_goes_through_the_queue_and_nowhere_else(kube: Kube, change: Change) -> None:
    good = pod(schedulerName="volcano")
    good["metadata"]["annotations"]["scheduling.volcano.sh/queue-name"] = QUEUE
    assert ask(kube, good).status_code == 201
    change(good)
    assert ask(kube, good).status_code == 403


def test_gangs_stay_in_the_queue_and_queues_are_the_platforms(kube: Kube) -> None:
    assert ask(kube, group(QUEUE)).status_code == 201
    assert ask(kube, group("default")).status_code == 403
    queue = {
        "apiVersion": "scheduling.volcano.sh/v1beta1", "kind": "Queue",
        "metadata": {"name": "mine"}, "spec": {"weight": 9},
    }  # fmt: skip
    assert ask(kube, queue).status_code == 201  # we are the administrator
    assert kube.create("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "o"}})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    subject = {"kind": "ServiceAccount", "name": "o", "namespace": "default"}
    kube.create(
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        {"metadata": {"name": "o"}, "roleRef": role, "subjects": [subject]},
    )
    token = kube.create("/api/v1/namespaces/default/serviceaccounts/o/token", {"spec": {}}).json()
    owner = kube.as_bearer(token["status"]["token"])
    answer = ask(owner, queue)
    assert answer.status_code == 403
    assert "made by the platform" in answer.json()["message"]


@pytest.mark.parametrize("make", [ray_cluster, ray_job, ray_service])
def test_the_queue_is_put_in_whatever_stood_there(
    mutating: Kube, make: Callable[[], Object]
) -> None:
    for labels in ({}, {QUEUE_LABEL: "default"}):
        workload = make()
        workload["metadata"]["labels"] = labels
        answer = ask(mutating, workload)
        assert answer.status_code == 201, answer.text
        assert answer.json()["metadata"]["labels"][QUEUE_LABEL] == QUEUE


def test_a_pod_is_put_into_the_queue_with_requests_that_count(mutating: Kube) -> None:
    bare = pod(schedulerName="default-scheduler")
    bare["metadata"]["annotations"]["scheduling.volcano.sh/queue-name"] = "default"
    bare["spec"]["containers"] += [
        {"name": "d", "image": "d", "resources": {"limits": {"cpu": "2"}}, "command": ["x"]}
    ]
    answer = ask(mutating, bare)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["spec"]["schedulerName"] == "volcano"
    assert made["metadata"]["annotations"]["scheduling.volcano.sh/queue-name"] == QUEUE
    first, second = made["spec"]["containers"]
    default = {"memory": "128Mi", "ephemeral-storage": "100Mi"}
    assert first["resources"]["requests"] == {"cpu": "50m", **default}
    assert second["resources"] == {"limits": {"cpu": "2"}, "requests": {"cpu": "2", **default}}
    assert second["command"] == ["x"]
    assert ask(mutating, group("default")).json()["spec"]["queue"] == QUEUE


def worker_of_ray(*init: Object, **labels: str) -> Object:
    env = [{"name": "FQ_RAY_IP", "value": "rays-head-svc.ray"}, {"name": "RAY_PORT", "value": "6379"},
           {"name": "RAY_ADDRESS", "value": "rays-head-svc.ray:6379"}]  # fmt: skip
    ray = {"name": "ray", "image": "ray:1", "imagePullPolicy": "Never", "env": env}
    made = pod(containers=[ray], initContainers=list(init))
    made["metadata"]["labels"] = {"ray.io/node-type": "worker", **labels}
    return made


def starts(answer: httpx2.Response) -> list[str]:
    assert answer.status_code == 201, answer.text
    return [c["name"] for c in answer.json()["spec"].get("initContainers", [])]


def test_a_ray_worker_waits_for_the_port_of_its_head(mutating: Kube) -> None:
    until(
        lambda: starts(ask(mutating, worker_of_ray())) == ["wait-gcs-ready"],
        "the wait is put in", 30,
    )  # fmt: skip
    own = {"name": "own", "image": "own"}
    answer = ask(mutating, worker_of_ray(own))
    assert sorted(starts(answer)) == ["own", "wait-gcs-ready"]
    waits = next(c for c in answer.json()["spec"]["initContainers"] if c["name"] != "own")
    assert (waits["image"], waits["imagePullPolicy"]) == ("ray:1", "Never")
    assert [e["name"] for e in waits["env"]] == ["FQ_RAY_IP", "RAY_PORT"]
    assert "/dev/tcp/$FQ_RAY_IP/$RAY_PORT" in waits["command"][-1]


def test_a_wait_of_kuberay_or_a_user_is_left_alone(mutating: Kube) -> None:
    theirs = {"name": "wait-gcs-ready", "image": "theirs"}
    answer = ask(mutating, worker_of_ray(theirs))
    assert starts(answer) == ["wait-gcs-ready"]
    assert answer.json()["spec"]["initContainers"][0]["image"] == "theirs"


def test_a_head_waits_for_nobody(mutating: Kube) -> None:
    assert starts(ask(mutating, worker_of_ray(**{"ray.io/node-type": "head"}))) == []
