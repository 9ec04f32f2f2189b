"""KubeRay's clean-up does not wait in the queue, and nobody else gets past it by looking like it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from atoll.cluster.client import Cluster
from atoll.domain.names import SYSTEM_NAMESPACE
from atoll.domain.schedulers import VOLCANO
from atoll_worker.reconcile.policies.everything import policy_manifests
from atoll_worker.reconcile.policies.manifests import Enforced
from builders.policies_in_force import await_policies
from e2e.kube import Kube, Object
from integration.worker.admission import account

PODS, JOBS = "/api/v1/namespaces/other/pods", "/apis/batch/v1/namespaces/other/jobs"
LABELS = {"ray.io/node-type": "redis-cleanup"}
Change = Callable[[Object], Any]


def pod() -> Object:
    """As the controller of Jobs makes it for KubeRay's."""
    amounts = {"cpu": "200m", "memory": "256Mi"}
    container = {
        "name": "c", "image": "c", "resources": {"requests": dict(amounts), "limits": amounts},
    }  # fmt: skip
    job = {"apiVersion": "batch/v1", "kind": "Job", "name": "j", "uid": "u", "controller": True}
    return {
        "metadata": {"name": "p", "labels": dict(LABELS), "ownerReferences": [job]},
        "spec": {"containers": [container], "restartPolicy": "Never"},
    }


def job(**spec: Any) -> Object:
    template = {"metadata": {"labels": dict(LABELS)}, "spec": pod()["spec"]}
    return {"metadata": {"name": "j"}, "spec": {"template": template, **spec}}


@pytest.fixture
async def controller(inside_file: Path) -> Kube:
    """The controller of Jobs, asking where the API server cannot mutate."""
    labels = {VOLCANO.queue_label: "'team-a'"}
    async with Cluster.from_file(inside_file) as cluster:
        for manifest in policy_manifests(Enforced("team-a", "x", labels, {"cpu": "4"}), {}):
            await cluster.apply(manifest)
    kube = Kube.from_file(inside_file)
    asking = account(kube, "kube-system", "job-controller")
    await_policies(kube)
    return asking


def tried(kube: Kube, path: str, body: Object) -> httpx2.Response:
    return kube.create(f"{path}?dryRun=All", body)


def test_kuberays_clean_up_does_not_wait_in_the_queue(controller: Kube) -> None:
    answer = tried(controller, PODS, pod())
    assert answer.status_code == 201, answer.text


def _asks(part: str, **amounts: str) -> Change:
    """Another container with these requests."""
    return lambda body: body["spec"].setdefault(part, []).append(_container(**amounts))


def _container(**amounts: str) -> Object:
    return {"name": "d", "image": "d", "resources": {"requests": amounts, "limits": amounts}}


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body["metadata"].pop("ownerReferences"),
        lambda body: body["metadata"]["ownerReferences"][0].update(controller=False),
        lambda body: body["metadata"]["ownerReferences"][0].update(
            kind="ReplicaSet", apiVersion="apps/v1"
        ),
        lambda body: body["spec"]["containers"][0].update(_container(cpu="300m")),
        _asks("containers", cpu="200m"),
        lambda body: body["spec"].update(
            initContainers=[{**_container(cpu="200m"), "restartPolicy": "Always"}]
        ),
        _asks("initContainers", memory="1Gi"),
        _asks("initContainers", **{"nvidia.com/gpu": "1"}),
        lambda body: body["spec"].update(resources={"requests": {"cpu": "2"}}),
    ],
    ids=[
        "no owner", "an owner that does not control it", "another owner", "a large container",
        "two containers", "a container beside it", "a large init container", "a device",
        "amounts of the whole pod",
    ],
)  # fmt: skip
def test_a_pod_is_no_clean_up_with(controller: Kube, change: Change) -> None:
    body = pod()
    change(body)
    answer = tried(controller, PODS, body)
    assert answer.status_code == 403, answer.text
    assert "atoll-pods" in answer.json()["message"]


def test_a_pod_of_ones_own_is_no_clean_up(controller: Kube, owner: Kube) -> None:
    assert tried(owner, PODS, pod()).status_code == 403


def test_a_job_with_the_label_is_made_by_kuberay(
    controller: Kube, owner: Kube, inside_file: Path
) -> None:
    kuberay = account(Kube.from_file(inside_file), SYSTEM_NAMESPACE, "kuberay-operator")
    answer = tried(kuberay, JOBS, job())
    assert answer.status_code == 201, answer.text
    assert "KubeRay's own clean-up" in tried(owner, JOBS, job()).json()["message"]


def test_a_suspended_job_is_not_given_the_label(controller: Kube, owner: Kube) -> None:
    """Only of a suspended Job may the labels of the template change."""
    waiting = job(suspend=True)
    waiting["spec"]["template"]["metadata"]["labels"] = {"mine": "x"}
    made = owner.create(JOBS, waiting)
    assert made.status_code == 201, made.text
    try:
        change = {"spec": {"template": {"metadata": {"labels": {"mine": "y"}}}}}
        assert owner.send("PATCH", f"{JOBS}/j", change).status_code == 200
        change["spec"]["template"]["metadata"]["labels"] = dict(LABELS)
        answer = owner.send("PATCH", f"{JOBS}/j", change)
        assert answer.status_code == 403, answer.text
    finally:
        owner.delete(f"{JOBS}/j")
