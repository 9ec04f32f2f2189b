"""A full quota of Ray clusters, on a real API server: refused in every namespace, whatever makes them."""

import copy
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from atoll.cluster.client import Cluster
from atoll_worker.reconcile.policies.counts import (
    limit_ray_clusters,
    ray_count,
    warn_of_waiting_upgrades,
)
from atoll_worker.reconcile.policies.manifests import policy_objects
from builders.policies_in_force import await_policies
from builders.ray_workloads import ray_cluster, ray_job, ray_service
from e2e.kube import Kube, Object

PATH = "/apis/ray.io/v1/namespaces/{}/{}"
PLURALS = {"RayCluster": "rayclusters", "RayJob": "rayjobs", "RayService": "rayservices"}
ADMISSION = "/apis/admissionregistration.k8s.io/v1"


def ask(kube: Kube, workload: Object, namespace: str) -> Any:
    made = copy.deepcopy(workload)
    made["metadata"]["namespace"] = namespace
    path = PATH.format(namespace, PLURALS[made["kind"]])
    return kube.create(f"{path}?dryRun=All", made)


@pytest.fixture
async def full(inside_file: Path) -> AsyncIterator[Kube]:
    """One Ray cluster may be, and one is."""
    kube = Kube.from_file(inside_file)
    held = {"metadata": {"name": "first", "namespace": "ray"}, "spec": {}}
    counted = ray_count({"rayclusters": "1"}, [held], ())
    assert counted
    policies = [make("lab", counted) for make in (limit_ray_clusters, warn_of_waiting_upgrades)]
    async with Cluster.from_file(inside_file) as cluster:
        for policy in policies:
            assert policy
            for manifest in policy_objects(policy, {}):
                await cluster.apply(manifest)
    await_policies(kube)
    yield kube
    for policy in policies:
        for kind in ("validatingadmissionpolicybindings", "validatingadmissionpolicies"):
            assert policy
            kube.delete(f"{ADMISSION}/{kind}/{policy.name}")
    await_policies(kube)


@pytest.mark.parametrize(
    "workload", [ray_cluster(), ray_job(), ray_service()], ids=lambda w: w["kind"]
)
@pytest.mark.parametrize("namespace", ["ray", "other"])
def test_the_next_one_is_refused_in_words_in_every_namespace(
    full: Kube, workload: Object, namespace: str
) -> None:
    answer = ask(full, workload, namespace)
    assert answer.status_code == 403
    assert (
        "Virtual cluster lab may hold 1 Ray cluster in all namespaces together and has 1: ray/first. "
        "Delete one, or ask the team owner" in answer.json()["message"]
    )


def test_those_of_the_virtual_clusters_spec_are_let_in(full: Kube) -> None:
    """This very client has the administrator's certificate, as the worker has."""
    kept = ray_cluster()
    kept["metadata"]["labels"]["atoll.dev/from-spec"] = "true"
    assert ask(full, kept, "ray").status_code == 201


def test_a_user_who_writes_their_label_is_refused(full: Kube, owner: Kube) -> None:
    sly = ray_cluster()
    sly["metadata"]["labels"]["atoll.dev/from-spec"] = "true"
    answer = ask(owner, sly, "other")
    assert (answer.status_code, "may hold 1" in answer.text) == (403, True), answer.text


def test_the_second_ray_cluster_of_an_upgrade_is_refused_by_the_name_of_its_service(
    full: Kube,
) -> None:
    second = ray_cluster()
    second["metadata"]["labels"] |= {
        "ray.io/originated-from-crd": "RayService", "ray.io/originated-from-cr-name": "talk",
    }  # fmt: skip
    told = ask(full, second, "ray").json()["message"]
    assert "RayService talk waits for one more Ray cluster" in told
    assert "may hold 1 Ray cluster in all namespaces" in told


@pytest.fixture
def service(inside_file: Path) -> Iterator[str]:
    """The path of a RayService that is there before the quota is full."""
    kube, path = Kube.from_file(inside_file), PATH.format("ray", "rayservices")
    answer = kube.create(path, {**ray_service(), "metadata": {"name": "talk"}})
    assert answer.status_code == 201, answer.text
    yield f"{path}/talk"
    kube.delete(f"{path}/talk")


def test_an_upgrade_that_must_wait_for_room_is_warned_of(service: str, full: Kube) -> None:
    def warned(change: Object) -> str:
        answer = full.send("PATCH", f"{service}?dryRun=All", {"spec": change})
        assert answer.status_code == 200, answer.text
        return str(answer.headers.get("Warning", ""))

    newer = {"rayClusterConfig": {"rayVersion": "2.61.0"}}
    assert "waits until there is room" in warned(newer)
    assert "may hold 1 Ray cluster" in warned(newer)
    assert warned({"serveConfigV2": "x"}) == ""
    assert warned({**newer, "upgradeStrategy": {"type": "None"}}) == ""
