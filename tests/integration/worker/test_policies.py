"""What a Ray workload may be inside a virtual cluster, on a real API server."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from atoll.domain.names import SYSTEM_NAMESPACE
from atoll.domain.ray_clusters import HEAD_SERVICE
from builders.ray_workloads import cluster_of, ray_cluster, ray_job, ray_service, worker_pod
from e2e.kube import Kube, Object
from integration.worker.admission import PATHS, QUEUE, QUEUE_LABEL, account, ask, put
from waiting import until

Change = Callable[[Object], Any]


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
    "no limits": (_set("spec.containers.0.resources", {}), "a limit of memory, and a request"),
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
        _set("spec.tolerations", [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}]),
        _set("spec.priorityClassName", "atoll-high"),
        _set("spec.nodeSelector", {"kind": "fast"}),
        _lowest(1, 50),
        _workers(3),
    ):
        workload = ray_cluster()
        change(workload)
        answer = ask(kube, workload)
        assert answer.status_code == 201, answer.text


def test_amounts_may_be_written_as_numbers(kube: Kube) -> None:
    """As in KubeRay's own examples; of a custom resource nobody makes text of them."""
    workload = ray_cluster()
    numbers = {"cpu": 1, "memory": "1Gi", "nvidia.com/gpu": 1}
    worker_pod(workload)["spec"]["containers"][0]["resources"] = {"limits": numbers}
    head = workload["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    head["resources"] = {"limits": {"cpu": "500m", "memory": 2**31}}
    answer = ask(kube, workload)
    assert answer.status_code == 201, answer.text
    _workers(5)(workload)
    refused = ask(kube, workload).json()["message"]
    assert "5.5 cpu" in refused


def test_cpu_may_be_requested_without_a_limit_and_counts(kube: Kube) -> None:
    workload = ray_cluster()
    amounts = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"memory": "1Gi"}}
    _set("spec.containers.0.resources", amounts)(workload)
    answer = ask(kube, workload)
    assert answer.status_code == 201, answer.text
    _workers(5)(workload)
    assert "asks for 5.5 cpu" in ask(kube, workload).json()["message"]
    del amounts["requests"]["cpu"]
    _workers(1)(workload)
    assert "request or a limit of cpu" in ask(kube, workload).json()["message"]


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


def test_kuberay_alone_says_which_gang_the_cluster_of_a_job_is(kube: Kube, owner: Kube) -> None:
    """As KubeRay makes the RayCluster of a RayJob under Volcano."""
    kuberay = account(kube, SYSTEM_NAMESPACE, "kuberay-operator")
    of_job = ray_cluster(workers=3)
    gang = {"scheduling.k8s.io/group-name": "ray-count-pg", "volcano.sh/task-spec": ""}
    of_job["metadata"]["annotations"] = dict(gang)
    assert "not a workload's choice" in ask(owner, of_job).json()["message"]
    of_job["metadata"]["annotations"]["volcano.sh/preemptable"] = "false"
    assert ask(kuberay, of_job).status_code == 403
    of_job["metadata"]["annotations"] = dict(gang)

    path = f"{PATHS['RayCluster']}/rays"
    answer = kuberay.create(PATHS["RayCluster"], of_job)
    assert answer.status_code == 201, answer.text
    try:
        note = {"metadata": {"annotations": {"note": "of mine"}}}
        assert owner.send("PATCH", path, note).status_code == 200
        other = {"metadata": {"annotations": {"scheduling.k8s.io/group-name": "ray-other-pg"}}}
        answer = owner.send("PATCH", path, other)
        assert answer.status_code == 403
        assert "not a workload's choice" in answer.json()["message"]
    finally:
        kube.delete(path)


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


def _named(name: str, workload: Object) -> Object:
    workload["metadata"]["name"] = name
    return workload


@pytest.mark.parametrize("make", [ray_cluster, ray_job, ray_service])
def test_the_gang_of_another_is_not_joined_by_a_label(
    kube: Kube, owner: Kube, make: Callable[[], Object]
) -> None:
    """KubeRay makes no gang for a Ray cluster of a RayJob: its pods go by that of the job. Of a RayJob
    that says so it writes the size into the other's gang.
    """
    workload = _named("joins", make())
    workload["metadata"]["labels"] |= {
        "ray.io/originated-from-crd": "RayJob", "ray.io/originated-from-cr-name": "another",
    }  # fmt: skip
    answer = ask(owner, workload)
    assert answer.status_code == 403
    assert "ray.io/originated-from-crd" in answer.json()["message"]
    kuberay = account(kube, SYSTEM_NAMESPACE, "kuberay-operator")
    answer = ask(kuberay, workload)
    assert answer.status_code == 201, answer.text
    for origin, change in ((None, "RayJob"), ("RayJob", None), ("RayJob", "RayService")):
        labels = {"ray.io/originated-from-crd": origin} if origin else {}
        there = make()
        # One name for each kind: admission may still know a RayJob that was deleted a moment ago.
        there["metadata"]["name"] = name = f"there-{there['kind'].lower()}"
        there["metadata"]["labels"] |= labels
        path = f"{PATHS[there['kind']]}/{name}"
        kuberay.create(PATHS[there["kind"]], there).raise_for_status()
        try:
            changed = {"metadata": {"labels": {"ray.io/originated-from-crd": change}}}
            answer = owner.send("PATCH", f"{path}?dryRun=All", changed)
            assert answer.status_code == 403, (origin, change)
            assert "ray.io/originated-from-crd" in answer.json()["message"]
        finally:
            kuberay.delete(path)


@pytest.mark.parametrize(("first", "second"), [(ray_job, ray_cluster), (ray_cluster, ray_job)])
def test_a_ray_job_and_a_ray_cluster_do_not_share_a_name(
    owner: Kube, kube: Kube, first: Callable[[], Object], second: Callable[[], Object]
) -> None:
    there, other = _named("one", first()), _named("one", second())
    # Whoever claims to be of a RayJob is no exception.
    other["metadata"]["ownerReferences"] = [
        {"apiVersion": "ray.io/v1", "kind": "RayJob", "name": "one", "uid": "u", "controller": True}
    ]
    answer = ask(owner, other)
    assert answer.status_code == 201, answer.text
    made = kube.create(PATHS[there["kind"]], there).raise_for_status().json()
    path = f"{PATHS[there['kind']]}/{made['metadata']['name']}"
    try:
        until(lambda: ask(owner, other).status_code == 403, "the name is taken", 60)
        words = ask(owner, other).json()["message"]
        assert f"There is a {there['kind']} one in this namespace" in words
        assert ask(owner, _named("free", second())).status_code == 201
        elsewhere = _named("one", second())
        del elsewhere["metadata"]["namespace"]
        path_elsewhere = PATHS[elsewhere["kind"]].replace("/ray/", "/other/")
        answer = owner.create(f"{path_elsewhere}?dryRun=All", elsewhere)
        assert answer.status_code == 201, answer.text
    finally:
        kube.delete(path)
    until(lambda: ask(owner, other).status_code == 201, "the name is free again", 60)


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


def _head_service(kube: Kube, **head: Any) -> Any:
    workload = ray_cluster()
    del workload["spec"]["headGroupSpec"]["headService"]
    workload["spec"]["headGroupSpec"] |= head
    answer = ask(kube, workload)
    assert answer.status_code == 201, answer.text
    return answer.json()["spec"]["headGroupSpec"].get("headService", {"spec": None})


def test_a_head_gets_an_address_that_stays(mutating: Kube) -> None:
    until(lambda: _head_service(mutating)["spec"] == HEAD_SERVICE, "heads are given a Service", 30)
    assert _head_service(mutating, serviceType="NodePort")["spec"] == {
        **HEAD_SERVICE, "type": "NodePort",
    }  # fmt: skip


def test_a_manifest_without_it_does_not_take_the_service_away(mutating: Kube) -> None:
    """KubeRay may take the change for an upgrade and begin all pods anew."""
    until(lambda: _head_service(mutating)["spec"] == HEAD_SERVICE, "heads are given a Service", 30)
    workload = _named("put", ray_cluster())
    del workload["spec"]["headGroupSpec"]["headService"]
    path = f"{PATHS['RayCluster']}/put"
    made = mutating.create(PATHS["RayCluster"], workload).raise_for_status().json()
    try:
        workload["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"]
        answer = mutating.send("PUT", path, workload)
        assert answer.status_code == 200, answer.text
        assert answer.json()["spec"] == made["spec"]
        assert answer.json()["metadata"]["generation"] == made["metadata"]["generation"]
    finally:
        mutating.delete(path)


def test_the_service_that_a_head_asks_for_stays(mutating: Kube) -> None:
    until(lambda: _head_service(mutating)["spec"] == HEAD_SERVICE, "heads are given a Service", 30)
    own = {"metadata": {"annotations": {"mine": "yes"}}}
    assert _head_service(mutating, headService=own) == own
