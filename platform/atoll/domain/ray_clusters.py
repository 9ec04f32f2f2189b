"""The RayCluster we make: one manifest for the API's and the virtual cluster's own Ray clusters."""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Protocol

from atoll.domain.gcs_store import REDIS_ADDRESS, credentials_name, fault_tolerance_options
from atoll.domain.names import (
    FIELD_MANAGER,
    LABEL_MANAGED,
    LABEL_TEAM,
    LABEL_VIRTUAL_CLUSTER,
    RAY_NAMESPACE,
    queue_name,
)
from atoll.domain.quantities import parse_quantity
from atoll.domain.quotas import Amounts, amount_text
from atoll.domain.schedulers import scheduler_named
from atoll.domain.versions import Version, parse_version

WORKER_GROUP = "workers"
GPU = "nvidia.com/gpu"
"""What `workerGpus` counts."""
HEAD_SERVICE: dict[str, Any] = {"type": "ClusterIP", "publishNotReadyAddresses": True}
"""Spec of the head's Service. KubeRay's own is headless: a head that comes back then has another address,
which gRPC asks DNS for only every 30 s; behind an address that stays, it is found in seconds."""
GCS_PORT, DASHBOARD_PORT, CLIENT_PORT = 6379, 8265, 10001
AGENT_PORT = 52365
HEALTH_SINCE = Version(2, 53)
"""First Ray whose agent answers /api/healthz for all of its node (KubeRay, common/pod.go)."""


class RayClusterShape(Protocol):
    """What a person chooses of a Ray cluster; quantities as Kubernetes writes them."""

    @property
    def name(self) -> str:
        """Name of the RayCluster."""

    @property
    def workers(self) -> int:
        """Number of worker pods."""

    @property
    def head_cpu(self) -> str:
        """CPU of the head pod."""

    @property
    def head_memory(self) -> str:
        """Memory of the head pod."""

    @property
    def worker_cpu(self) -> str:
        """CPU of each worker pod."""

    @property
    def worker_memory(self) -> str:
        """Memory of each worker pod."""

    @property
    def worker_gpus(self) -> int:
        """GPUs of each worker pod."""


def amounts_needed(clusters: Iterable[RayClusterShape]) -> dict[str, Decimal]:
    """The least that Ray clusters take of a quota, by resource: pods with their requests and limits, and
    the Service of each head (KubeRay, common/service.go).
    """
    total = dict.fromkeys(("cpu", "memory", "pods", "services", "rayclusters"), Decimal(0))
    gpus = Decimal(0)
    for c in clusters:
        total["cpu"] += parse_quantity(c.head_cpu) + c.workers * parse_quantity(c.worker_cpu)
        total["memory"] += parse_quantity(c.head_memory)
        total["memory"] += c.workers * parse_quantity(c.worker_memory)
        total["pods"] += 1 + c.workers
        total["services"] += 1
        total["rayclusters"] += 1
        gpus += c.workers * c.worker_gpus
    return {**total, **({GPU: gpus} if gpus else {})}


def pods_of(cluster: RayClusterShape) -> dict[str, dict[str, str]]:
    """What one pod of each kind of a Ray cluster asks for: "head", and "worker" when there are any."""
    pods = {"head": {"cpu": cluster.head_cpu, "memory": cluster.head_memory}}
    if cluster.workers:
        worker = {"cpu": cluster.worker_cpu, "memory": cluster.worker_memory}
        gpus = {GPU: str(cluster.worker_gpus)} if cluster.worker_gpus else {}
        pods["worker"] = {**worker, **gpus}
    return pods


def lacking(quota: Amounts, clusters: Iterable[RayClusterShape]) -> dict[str, tuple[str, str]]:
    """Resources of which the quota names less than the Ray clusters need: name -> (needed, named)."""
    return {
        resource: (amount_text(resource, needed), quota[resource])
        for resource, needed in amounts_needed(clusters).items()
        if resource in quota and needed > parse_quantity(quota[resource])
    }


def ray_image(image: str, version: str, registry: str | None = None) -> str:
    """The full reference of Ray's image.

    An image without a tag or digest gets the version as its tag; a mirror takes the place of the
    image's registry (or stands in front when it names none).
    """
    tagged = "@" in image or ":" in image.rsplit("/", 1)[-1]
    return mirrored(image if tagged else f"{image}:{version}", registry)


def mirrored(reference: str, registry: str | None) -> str:
    """An image reference behind a mirror: the mirror takes the place of the registry, or stands in
    front when the reference names none.
    """
    if not registry:
        return reference
    first, _, rest = reference.partition("/")
    named = rest and ("." in first or ":" in first or first == "localhost")
    return f"{registry.rstrip('/')}/{rest if named else reference}"


def head_service(ray_cluster: str) -> str:
    """The Service that KubeRay makes in front of a head."""
    return f"{ray_cluster}-head-svc"


def ray_cluster_manifest(
    spec: RayClusterShape,
    *,
    team: str,
    virtual_cluster: str,
    scheduler: str = "volcano",
    ray_version: str,
    image: str,
    redis_address: str = REDIS_ADDRESS,
) -> dict[str, Any]:
    """A RayCluster that is gang-scheduled in the team's queue and survives the loss of its head.

    `image` is a full reference (see `ray_image`), `scheduler` a name of `SCHEDULERS`. Limits of
    memory and GPUs are the requests, so that the quota counts what is used; CPU has no limit, for it can be
    taken back at any moment. The head runs no tasks, so that no task dies with it.
    """
    labels = {
        LABEL_MANAGED: FIELD_MANAGER,
        LABEL_TEAM: team,
        LABEL_VIRTUAL_CLUSTER: virtual_cluster,
        **scheduler_named(scheduler).labels(queue_name(team)),
    }
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": spec.name, "namespace": RAY_NAMESPACE, "labels": labels},
        "spec": {
            "rayVersion": ray_version,
            "gcsFaultToleranceOptions": fault_tolerance_options(
                credentials_name("RayCluster", spec.name), redis_address
            ),
            "headGroupSpec": _probed(_head(spec, image, labels), ray_version),
            "workerGroupSpecs": [_probed(_workers(spec, image, labels), ray_version)],
        },
    }


def _probed(group: dict[str, Any], ray_version: str) -> dict[str, Any]:
    """KubeRay's own readiness check, asked every second from the start.

    KubeRay asks every 5 s after 10 s. For older Rays, without the endpoint, its probe stays.
    """
    if parse_version(ray_version) >= HEALTH_SINCE:
        (container,) = group["template"]["spec"]["containers"]
        container["readinessProbe"] = {
            "httpGet": {"path": "/api/healthz", "port": AGENT_PORT},
            "initialDelaySeconds": 2,
            "periodSeconds": 1,
            "timeoutSeconds": 5,
            "failureThreshold": 60,
        }
    return group


def _head(spec: RayClusterShape, image: str, labels: dict[str, str]) -> dict[str, Any]:
    ports = {"gcs-server": GCS_PORT, "dashboard": DASHBOARD_PORT, "client": CLIENT_PORT}
    container = _container("ray-head", image, {"cpu": spec.head_cpu, "memory": spec.head_memory})
    container["ports"] = [{"name": n, "containerPort": p} for n, p in ports.items()]
    return {
        "headService": {"spec": dict(HEAD_SERVICE)},
        "rayStartParams": {"num-cpus": "0", "dashboard-host": "0.0.0.0"},  # noqa: S104 - in a pod
        "template": _template(container, labels),
    }


def _workers(spec: RayClusterShape, image: str, labels: dict[str, str]) -> dict[str, Any]:
    resources: dict[str, str] = {"cpu": spec.worker_cpu, "memory": spec.worker_memory}
    if spec.worker_gpus:
        resources[GPU] = str(spec.worker_gpus)
    return {
        "groupName": WORKER_GROUP,
        "replicas": spec.workers,
        "minReplicas": spec.workers,
        "maxReplicas": spec.workers,
        "rayStartParams": {},
        "template": _template(_container("ray-worker", image, resources), labels),
    }


def _container(name: str, image: str, resources: dict[str, str]) -> dict[str, Any]:
    limits = {resource: amount for resource, amount in resources.items() if resource != "cpu"}
    return {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "resources": {"requests": dict(resources), "limits": limits},
    }


def _template(container: dict[str, Any], labels: dict[str, str]) -> dict[str, Any]:
    # KubeRay copies only its own labels to pods; ours make the host's pods attributable.
    pod_labels = {key: value for key, value in labels.items() if key.startswith("atoll.dev/")}
    return {"metadata": {"labels": pod_labels}, "spec": {"containers": [container]}}
