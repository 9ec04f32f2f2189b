"""In a shared virtual cluster a container uses as much memory and disk as it requests: inside, put right or
refused in words, and on the host, whatever was written inside.
"""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from atoll.cluster import bootstrap
from atoll.cluster.client import Cluster
from atoll.cluster.drift import says
from atoll.domain.ray_clusters import ray_cluster_manifest
from atoll.domain.schedulers import VOLCANO
from atoll.resources.virtual_clusters import RayClusterSpec
from atoll.settings import Settings
from atoll_worker.reconcile.policies.everything import policy_manifests
from atoll_worker.reconcile.policies.manifests import Enforced
from builders.policies_in_force import await_policies
from e2e.kube import Kube, Object
from waiting import until

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
PODS = "/api/v1/namespaces/other/pods"
RAYS = "/apis/ray.io/v1/namespaces/ray/rayclusters"
HOST_PODS = "/api/v1/namespaces/vc-x/pods"
DRY = "?dryRun=All"
PLAIN = {"priorityClassName": "atoll-plain", "schedulerName": "default-scheduler"}


def pod(requests: dict[str, str], limits: dict[str, str], **spec: Any) -> Object:
    """A small pod that Volcano places."""
    container = {"name": "c", "image": "c", "resources": {"requests": requests, "limits": limits}}
    notes = {"scheduling.volcano.sh/queue-name": "vc-x"}
    return {
        "metadata": {"name": "p", "annotations": notes},
        "spec": {"schedulerName": "volcano", "containers": [container], **spec},
    }


async def put(file: Path, mutating: str | None) -> None:
    labels = {VOLCANO.queue_label: "'team-a'"}
    quota = {"cpu": "4", "memory": "8Gi"}
    enforced = Enforced("team-a", "x", labels, quota, mutating=mutating, host_queue="vc-x")
    async with Cluster.from_file(file) as cluster:
        for manifest in policy_manifests(enforced, {}):
            # The worker writes what differs: it would write at every look otherwise.
            assert says(await cluster.apply(manifest), manifest), manifest["metadata"]["name"]


def plain_class(kube: Kube) -> None:
    body = {"metadata": {"name": "atoll-plain"}, "value": 0}
    kube.create("/apis/scheduling.k8s.io/v1/priorityclasses", body)


def asked(kube: Kube, body: Object, path: str = PODS) -> httpx2.Response:
    return kube.create(path + DRY, body)


@pytest.fixture
async def validating(inside_file: Path) -> Kube:
    """As where the API server cannot mutate."""
    kube = Kube.from_file(inside_file)
    plain_class(kube)
    for kind in ("mutatingadmissionpolicybindings", "mutatingadmissionpolicies"):
        for found in kube.items(f"{ADMISSION}/{kind}"):
            kube.delete(f"{ADMISSION}/{kind}/{found['metadata']['name']}")
    await put(inside_file, None)
    await_policies(kube)
    return kube


@pytest.fixture
async def mutating(inside_file: Path) -> Kube:
    kube = Kube.from_file(inside_file)
    plain_class(kube)
    await put(inside_file, "v1")
    await_policies(kube)
    return kube


MEMORY = "as much memory as it requests"
DISK = "as much ephemeral-storage as it requests"
UNFIT: dict[str, tuple[dict[str, str], dict[str, str], str]] = {
    "no limit": ({"memory": "64Mi"}, {}, MEMORY),
    "a larger limit": ({"memory": "64Mi"}, {"memory": "64Gi"}, MEMORY),
    "no limit, by zero": ({"memory": "0"}, {"memory": "0"}, MEMORY),
    "a larger limit of disk": (
        {"memory": "1Gi", "ephemeral-storage": "1Mi"},
        {"memory": "1024Mi", "ephemeral-storage": "1Ti"},
        DISK,
    ),
    "no limit of disk, by zero": (
        {"memory": "1Gi", "ephemeral-storage": "0"},
        {"memory": "1Gi", "ephemeral-storage": "0"},
        DISK,
    ),
}


@pytest.mark.parametrize("spec", [{}, PLAIN], ids=["in the queue", "plain"])
@pytest.mark.parametrize("how", UNFIT)
def test_inside_a_pod_is_refused_in_words_with(
    validating: Kube, how: str, spec: dict[str, str]
) -> None:
    requests, limits, words = UNFIT[how]
    answer = asked(validating, pod(requests, limits, **spec))
    assert answer.status_code == 403, answer.text
    told = answer.json()["message"]
    assert words in told
    assert told.endswith("in c")


def test_inside_an_init_container_is_judged_too(validating: Kube) -> None:
    first = pod({}, {"memory": "64Mi"})
    assert asked(validating, first).status_code == 201
    unfit = {"requests": {"memory": "1Mi"}, "limits": {"memory": "64Gi"}}
    first["spec"]["initContainers"] = [{"name": "first", "image": "c", "resources": unfit}]
    answer = asked(validating, first)
    assert answer.status_code == 403
    assert answer.json()["message"].endswith("in first")


def test_inside_a_pod_has_no_amounts_of_its_own(validating: Kube) -> None:
    whole = pod({}, {"memory": "64Mi"}, resources={"limits": {"memory": "64Gi"}})
    answer = asked(validating, whole)
    assert answer.status_code == 403
    assert "Leave spec.resources of the pod out" in answer.json()["message"]


@pytest.mark.parametrize(
    ("requests", "limits", "memory"),
    [
        ({}, {}, "128Mi"),
        ({"memory": "200Mi"}, {"memory": "1Gi"}, "1Gi"),
        ({"memory": "200Mi"}, {}, "200Mi"),
        ({}, {"memory": "1Gi"}, "1Gi"),
    ],
    ids=["nothing", "the submitter of KubeRay", "a request", "a limit"],
)
def test_inside_a_pod_is_put_right(
    mutating: Kube, requests: dict[str, str], limits: dict[str, str], memory: str
) -> None:
    for spec in ({}, PLAIN):
        body = pod(requests, limits, **spec)
        body["spec"]["initContainers"] = [{"name": "first", "image": "c"}]
        answer = asked(mutating, body)
        assert answer.status_code == 201, answer.text
        made = answer.json()["spec"]
        for container, amount in (
            (made["containers"][0], memory),
            (made["initContainers"][0], "128Mi"),
        ):
            fitted = {"memory": amount, "ephemeral-storage": "1Gi"}
            for part in ("requests", "limits"):
                found = container["resources"][part]
                assert {name: found[name] for name in fitted} == fitted, container


def test_what_ours_waits_with_fits(mutating: Kube) -> None:
    body = pod({"memory": "1Gi"}, {"memory": "1Gi"})
    body["metadata"]["labels"] = {"ray.io/node-type": "worker"}
    body["spec"]["containers"][0]["env"] = [
        {"name": "FQ_RAY_IP", "value": "h"}, {"name": "RAY_PORT", "value": "1"},
    ]  # fmt: skip
    answer = asked(mutating, body)
    assert answer.status_code == 201, answer.text
    assert [c["name"] for c in answer.json()["spec"]["initContainers"]] == ["wait-gcs-ready"]


def test_a_ray_cluster_is_refused_by_its_templates(mutating: Kube) -> None:
    spec = RayClusterSpec(name="rays", workers=1)
    made = ray_cluster_manifest(
        spec, team="a", virtual_cluster="x", ray_version="2.60.0", image="ray"
    )
    assert asked(mutating, made, RAYS).status_code == 201
    worker = made["spec"]["workerGroupSpecs"][0]["template"]["spec"]["containers"][0]
    worker["resources"]["requests"]["memory"] = "1Mi"
    answer = asked(mutating, made, RAYS)
    assert answer.status_code == 403, answer.text
    assert f"{MEMORY}, for the rest of a node is other teams'" in answer.json()["message"]
    assert answer.json()["message"].endswith("in ray-worker")
    # As a custom resource keeps it: a number, and text of the same amount.
    worker["resources"] |= {
        "requests": {"cpu": 1, "memory": 2**31}, "limits": {"cpu": 1, "memory": "2Gi"},
    }  # fmt: skip
    answer = asked(mutating, made, RAYS)
    assert answer.status_code == 201, answer.text


@pytest.fixture
async def host(host_file: Path) -> Kube:
    """The namespace of a shared virtual cluster."""
    async with Cluster.from_file(host_file) as cluster:
        await bootstrap.install(cluster, Settings())
    kube = Kube.from_file(host_file)
    labels = {
        "atoll.dev/virtual-cluster": "x", "atoll.dev/team": "a", "atoll.dev/mode": "shared",
    }  # fmt: skip
    kube.create("/api/v1/namespaces", {"metadata": {"name": "vc-x", "labels": labels}})
    until(lambda: asked(kube, copied(FIT, FIT), HOST_PODS).status_code == 201, "it lets in", 30)
    await_policies(kube)
    return kube


FIT = {"memory": "64Mi", "ephemeral-storage": "1Gi"}


def copied(requests: dict[str, str], limits: dict[str, str]) -> Object:
    """What vcluster makes of it."""
    body = pod(requests, limits)
    body["metadata"]["labels"] = {"vcluster.loft.sh/managed-by": "x"}
    body["spec"] |= {
        "priorityClassName": "atoll-gang", "nodeSelector": {"atoll.dev/shared": "true"},
    }  # fmt: skip
    return body


@pytest.mark.parametrize("how", UNFIT)
def test_on_the_host_a_copied_pod_is_refused_with(host: Kube, how: str) -> None:
    requests, limits, _ = UNFIT[how]
    answer = asked(host, copied({**FIT, **requests}, limits), HOST_PODS)
    assert answer.status_code == 403, answer.text
    assert "as much memory and ephemeral-storage as it requests" in answer.json()["message"]


def test_on_the_host_no_pod_has_amounts_of_its_own(host: Kube) -> None:
    whole = copied(FIT, FIT)
    whole["spec"]["resources"] = {"limits": {"memory": "64Gi"}, "requests": {"memory": "64Gi"}}
    answer = asked(host, whole, HOST_PODS)
    assert answer.status_code == 403, answer.text
    assert "has no spec.resources" in answer.json()["message"]


def test_on_the_host_what_a_pod_may_use_does_not_grow_in_place(host: Kube) -> None:
    path = f"{HOST_PODS}/p"
    made = host.create(HOST_PODS, copied(FIT, FIT))
    assert made.status_code == 201, made.text
    try:
        answer = resized(host, path, "64Gi")
        assert answer.status_code == 403, answer.text
        assert "does not grow in place" in answer.json()["message"]
        assert resized(host, path, "64Mi").status_code == 200
    finally:
        host.delete(f"{path}?gracePeriodSeconds=0")


def resized(host: Kube, path: str, memory: str) -> httpx2.Response:
    """Another limit, with the request as it was."""
    body = host.get(path)
    assert body
    body["spec"]["containers"][0]["resources"]["limits"]["memory"] = memory
    return host.send("PUT", f"{path}/resize{DRY}", body)
