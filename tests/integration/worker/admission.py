"""The policies inside a virtual cluster on a real API server, and who asks it for what."""

from pathlib import Path
from typing import Any

import httpx2

from atoll.cluster.client import Cluster
from atoll.cluster.drift import says
from atoll.domain.names import SYSTEM_NAMESPACE
from atoll.domain.schedulers import VOLCANO
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


def group(queue: str) -> Object:
    return {
        "apiVersion": "scheduling.volcano.sh/v1beta1", "kind": "PodGroup",
        "metadata": {"name": "g"}, "spec": {"minMember": 2, "queue": queue},
    }  # fmt: skip


def ask(kube: Kube, manifest: Object) -> httpx2.Response:
    """A create that leaves nothing behind."""
    return kube.create(f"{PATHS[manifest['kind']]}?dryRun=All", manifest)


def account(kube: Kube, namespace: str, name: str) -> Kube:
    """A right to everything, which the API server goes by already, and the name of this account."""
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    for place in (SYSTEM_NAMESPACE, namespace):
        kube.create("/api/v1/namespaces", {"metadata": {"name": place}})
    kube.create(accounts, {"metadata": {"name": name}})
    rbac = "rbac.authorization.k8s.io"
    binding = {
        "metadata": {"name": f"test-{name}"},
        "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "cluster-admin"},
        "subjects": [{"kind": "ServiceAccount", "name": name, "namespace": namespace}],
    }
    kube.create(f"/apis/{rbac}/v1/clusterrolebindings", binding)
    answer = kube.create(f"{accounts}/{name}/token", {"spec": {}}).raise_for_status()
    bearer = kube.as_bearer(answer.json()["status"]["token"])
    until(lambda: _may_everything(bearer), f"{name} of {namespace} may do everything")
    return bearer


def _may_everything(kube: Kube) -> bool:
    """What the API server itself says; it reads a binding a moment after it was written."""
    review = {"spec": {"resourceAttributes": {"verb": "*", "group": "*", "resource": "*"}}}
    answer = kube.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
    return answer.status_code == 201 and bool(answer.json()["status"]["allowed"])
