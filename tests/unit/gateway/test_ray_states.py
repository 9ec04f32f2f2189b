"""From KubeRay's and Ray's words to ours."""

from typing import Any

import pytest

from atoll.gateway.ray_api import words_of
from atoll.gateway.ray_states import ray_cluster_read, ray_job_read, ray_job_resource_read


def cluster(status: dict[str, Any], **meta: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "one", "namespace": "ray"} | meta,
        "spec": {"rayVersion": "2.60.0", "workerGroupSpecs": [{"replicas": 2}, {"replicas": 1}]},
        "status": status,
    }


def condition(kind: str, status: str) -> dict[str, str]:
    return {"type": kind, "status": status, "reason": "Why", "message": "because"}


HEAD_LOST = [condition("HeadPodReady", "False")]
HEAD_HERE = [condition("HeadPodReady", "True"), condition("ReplicaFailure", "False")]
FAILING = [condition("ReplicaFailure", "True")]


@pytest.mark.parametrize(
    ("found", "state", "message"),
    [
        (cluster({}), "pending", ""),
        (cluster({"state": "ready"}), "ready", ""),
        (cluster({"state": "suspended"}), "suspended", ""),
        (cluster({"state": "failed", "reason": "no"}), "failed", "no"),
        (cluster({"state": "ready"}, deletionTimestamp="now"), "deleting", ""),
        (cluster({"conditions": HEAD_LOST}), "pending", "Why: because"),
        (cluster({"state": "ready", "conditions": HEAD_LOST}), "pending", "Why: because"),
        (cluster({"state": "ready", "conditions": HEAD_HERE}), "ready", ""),
        (cluster({"state": "ready", "conditions": FAILING}), "failed", "Why: because"),
        (cluster({"conditions": [condition("RayClusterSuspended", "True")]}), "suspended", ""),
    ],
)
def test_the_state_of_a_ray_cluster(found: dict[str, Any], state: str, message: str) -> None:
    read = ray_cluster_read(found, "demo", set())
    assert (read.state, read.message, read.workers) == (state, message, 3)


def test_only_ray_clusters_of_the_ray_namespace_are_the_specs_and_have_a_way_to_them() -> None:
    here = ray_cluster_read(cluster({}), "demo", {"one"})
    elsewhere = ray_cluster_read(cluster({}, namespace="own"), "demo", {"one"})
    assert (here.from_spec, here.proxy) == (
        True,
        "/v1/virtual-clusters/demo/ray-clusters/one/proxy/",
    )
    assert (elsewhere.from_spec, elsewhere.proxy) == (False, "")


def test_a_job_of_rays_api() -> None:
    found = {
        "submission_id": "a",
        "status": "RUNNING",
        "entrypoint": "x",
        "start_time": 1700000000123,
    }
    read = ray_job_read(found | {"message": "It failed. Full traceback:\n/inside"}, "one")
    assert read.started_at == "2023-11-14T22:13:20.123Z"
    assert (read.ended_at, read.message) == (None, "It failed.")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, "PENDING"),
        ({"jobStatus": "", "jobDeploymentStatus": "Initializing"}, "PENDING"),
        ({"jobStatus": "RUNNING", "jobDeploymentStatus": "Running"}, "RUNNING"),
        ({"jobStatus": "", "jobDeploymentStatus": "ValidationFailed"}, "FAILED"),
        ({"jobStatus": "SUCCEEDED", "jobDeploymentStatus": "Complete"}, "SUCCEEDED"),
    ],
)
def test_a_ray_job_resource(status: dict[str, str], expected: str) -> None:
    found = {"metadata": {"name": "a", "namespace": "ray"}, "spec": {}, "status": status}
    assert ray_job_resource_read(found).status == expected


HERE = "Traceback (most recent call last):\n  File 'a'\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ""),
        ("Job x does not exist", "Job x does not exist"),
        (f"{HERE}ValueError: it is taken: already\n", "it is taken: already"),
        (
            f"{HERE}RuntimeError: HTTP 400: {HERE}ValueError: x already exists.\n.\n",
            "x already exists.",
        ),
        (f"{HERE}KeyboardInterrupt\n", "KeyboardInterrupt"),
    ],
)
def test_rays_words_are_the_last_error_of_a_traceback(text: str, words: str) -> None:
    assert words_of(text) == words
