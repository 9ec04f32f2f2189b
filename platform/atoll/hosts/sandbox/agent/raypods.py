"""What KubeRay makes of a RayCluster: pods, the head Service, the PodGroup. Pure functions."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator
from typing import Any

from atoll.hosts.sandbox.agent.gang import added, demand
from atoll.hosts.sandbox.kube import Obj

CLEANUP_FINALIZER = "ray.io/gcs-ft-redis-cleanup-finalizer"
_PORTS = {"gcs-server": 6379, "dashboard": 8265, "client": 10001, "metrics": 8080, "serve": 8000}


def head_service_name(cluster: str) -> str:
    """Name of the head's Service."""
    return f"{cluster}-head-svc"


def owner(item: Obj, kind: str) -> Obj:
    """An owner reference to a custom resource."""
    return {
        "apiVersion": "ray.io/v1",
        "kind": kind,
        "name": item["metadata"]["name"],
        "uid": item["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def groups(cluster: Obj) -> Iterator[tuple[Obj, int]]:
    """The worker groups with their wanted number of pods."""
    for group in cluster["spec"].get("workerGroupSpecs") or []:
        replicas = 0 if group.get("suspend") else int(group.get("replicas") or 0)
        least, most = int(group.get("minReplicas") or 0), group.get("maxReplicas")
        replicas = max(replicas, least) if not group.get("suspend") else 0
        if most is not None:
            replicas = min(replicas, int(most))
        yield group, replicas * int(group.get("numOfHosts") or 1)


def origin(cluster: Obj) -> tuple[str, str]:
    """Kind and name of the custom resource a RayCluster was made for."""
    labels = cluster["metadata"].get("labels") or {}
    name = cluster["metadata"]["name"]
    kind = labels.get("ray.io/originated-from-crd", "RayCluster")
    return kind, labels.get("ray.io/originated-from-cr-name", name)


def group_name(cluster: Obj) -> str:
    """Name of the PodGroup: after the RayJob for its clusters, else after the RayCluster."""
    kind, name = origin(cluster)
    return f"ray-{name if kind == 'RayJob' else cluster['metadata']['name']}-pg"


def storage_namespace(cluster: Obj) -> str | None:
    """Prefix of the cluster's keys in Redis; None without fault tolerance through Redis."""
    options = cluster["spec"].get("gcsFaultToleranceOptions")
    if options is None or options.get("backend", "redis") != "redis":
        return None
    return str(options.get("externalStorageNamespace") or cluster["metadata"]["uid"])


def head_pod(cluster: Obj, scheduler: str) -> Obj:
    """The head pod."""
    name = cluster["metadata"]["name"]
    spec = cluster["spec"]["headGroupSpec"]
    pod = _pod(cluster, spec, f"{name}-head", "head", "headgroup", scheduler)
    env = [{"name": "RAY_ADDRESS", "value": "127.0.0.1:6379"}, *_fault_tolerance(cluster)]
    _ray_container(pod, spec, env, "ray start --head", cluster)
    return pod


def worker_pod(cluster: Obj, group: Obj, name: str, scheduler: str) -> Obj:
    """A worker pod of a group."""
    pod = _pod(cluster, group, name, "worker", group["groupName"], scheduler)
    namespace = cluster["metadata"]["namespace"]
    service = head_service_name(cluster["metadata"]["name"])
    address = f"{service}.{namespace}.svc.cluster.local:6379"
    env = [
        {"name": "FQ_RAY_IP", "value": address.partition(":")[0]},
        {"name": "RAY_IP", "value": service},
        {"name": "RAY_ADDRESS", "value": address},
    ]
    if storage_namespace(cluster) is not None:
        env.append({"name": "RAY_gcs_rpc_server_reconnect_timeout_s", "value": "600"})
    _ray_container(pod, group, env, f"ray start --address={address}", cluster)
    return pod


def _pod(cluster: Obj, group: Obj, name: str, node: str, label: str, scheduler: str) -> Obj:
    template = copy.deepcopy(group["template"])
    meta = template.get("metadata") or {}
    cluster_name = cluster["metadata"]["name"]
    kind, made_for = origin(cluster)
    labels = {
        **(meta.get("labels") or {}),
        **(group.get("labels") or {}),
        "ray.io/cluster": cluster_name,
        "ray.io/node-type": node,
        "ray.io/group": label,
        "ray.io/identifier": f"{cluster_name}-{node}",
        "ray.io/is-ray-node": "yes",
        "ray.io/originated-from-cr-name": made_for,
        "ray.io/originated-from-crd": kind,
        "app.kubernetes.io/name": "kuberay",
        "app.kubernetes.io/created-by": "kuberay-operator",
    }
    notes = dict(meta.get("annotations") or {})
    spec: Obj = template["spec"]
    if scheduler == "volcano":
        spec["schedulerName"] = "volcano"
        notes["scheduling.k8s.io/group-name"] = group_name(cluster)
        notes["volcano.sh/task-spec"] = label
        for tag in ("volcano.sh/queue-name", "ray.io/priority-class-name"):
            if tag in (cluster["metadata"].get("labels") or {}):
                labels[tag] = cluster["metadata"]["labels"][tag]
    namespace = storage_namespace(cluster)
    if namespace is not None:
        notes |= {"ray.io/ft-enabled": "true", "ray.io/external-storage-namespace": namespace}
    return {
        "metadata": {
            "name": name,
            "namespace": cluster["metadata"]["namespace"],
            "labels": labels,
            "annotations": notes,
            "ownerReferences": [owner(cluster, "RayCluster")],
        },
        "spec": spec,
    }


def _ray_container(pod: Obj, group: Obj, env: list[Obj], start: str, cluster: Obj) -> None:
    container = pod["spec"]["containers"][0]
    flags = dict(group.get("rayStartParams") or {})
    limits = (container.get("resources") or {}).get("limits") or {}
    if "nvidia.com/gpu" in limits:
        flags.setdefault("num-gpus", str(limits["nvidia.com/gpu"]))
    words = [start, *(f"--{name}={value}" if value != "" else f"--{name}"
                      for name, value in sorted(flags.items()) if name != "address")]  # fmt: skip
    line = " ".join([*words, "--block"])
    given = {variable["name"] for variable in container.get("env") or []}
    ours = [
        *env,
        {"name": "RAY_CLUSTER_NAME", "value": cluster["metadata"]["name"]},
        {"name": "RAY_PORT", "value": "6379"},
        {"name": "RAY_USAGE_STATS_KUBERAY_IN_USE", "value": "1"},
        {"name": "RAY_CLOUD_INSTANCE_ID",
         "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "RAY_NODE_TYPE_NAME",
         "valueFrom": {"fieldRef": {"fieldPath": "metadata.labels['ray.io/group']"}}},
        {"name": "KUBERAY_GEN_RAY_START_CMD", "value": line},
    ]  # fmt: skip
    container["env"] = [
        *(container.get("env") or []), *(one for one in ours if one["name"] not in given)
    ]  # fmt: skip
    if not container.get("command") and not container.get("args"):
        container["command"] = ["/bin/bash", "-c", "--"]
        container["args"] = [f"ulimit -n 65536; {line}"]


def _fault_tolerance(cluster: Obj) -> list[Obj]:
    namespace = storage_namespace(cluster)
    if namespace is None:
        return []
    options = cluster["spec"]["gcsFaultToleranceOptions"]
    env = [
        {"name": "RAY_REDIS_ADDRESS", "value": options.get("redisAddress", "")},
        {"name": "RAY_external_storage_namespace", "value": namespace},
    ]
    for field, variable in (
        ("redisUsername", "REDIS_USERNAME"),
        ("redisPassword", "REDIS_PASSWORD"),
    ):
        source = options.get(field)
        if source:
            env.append({"name": variable, **source})
    return env


def head_service(cluster: Obj) -> Obj:
    """The head's Service."""
    name = cluster["metadata"]["name"]
    container = cluster["spec"]["headGroupSpec"]["template"]["spec"]["containers"][0]
    named = {
        port["name"]: int(port["containerPort"])
        for port in container.get("ports") or []
        if port.get("name")
    }
    # KubeRay names the GCS port gcs-server; samples call the container's port gcs.
    named = {("gcs-server" if key == "gcs" else key): value for key, value in named.items()}
    ports = {**_PORTS, **named}
    labels = {
        "ray.io/cluster": name,
        "ray.io/node-type": "head",
        "ray.io/identifier": f"{name}-head",
    }
    return {
        "metadata": {
            "name": head_service_name(name),
            "namespace": cluster["metadata"]["namespace"],
            "labels": {**labels, "app.kubernetes.io/created-by": "kuberay-operator"},
            "ownerReferences": [owner(cluster, "RayCluster")],
        },
        "spec": {
            "type": cluster["spec"]["headGroupSpec"].get("serviceType") or "ClusterIP",
            "clusterIP": "None",
            "selector": labels,
            "ports": [
                {"name": key, "port": port, "targetPort": port, "appProtocol": "tcp"}
                for key, port in ports.items()
            ],
        },
    }


def pod_group(cluster: Obj, owning: Obj | None = None) -> Obj:
    """The Volcano PodGroup of head and workers; `owning` is the RayJob it was made for."""
    meta = cluster["metadata"]
    labels = meta.get("labels") or {}
    pods = [head_pod(cluster, "volcano")]
    for group, count in groups(cluster):
        pods += [worker_pod(cluster, group, "any", "volcano")] * count
    total = added(*(demand(pod) for pod in pods))
    total.pop("pods", None)
    spec: dict[str, Any] = {
        "minMember": len(pods),
        "minResources": {key: _quantity(key, value) for key, value in total.items()},
    }
    if "volcano.sh/queue-name" in labels:
        spec["queue"] = labels["volcano.sh/queue-name"]
    if "ray.io/priority-class-name" in labels:
        spec["priorityClassName"] = labels["ray.io/priority-class-name"]
    reference = owner(owning, "RayJob") if owning else owner(cluster, "RayCluster")
    return {
        "metadata": {
            "name": group_name(cluster),
            "namespace": meta["namespace"],
            "labels": {key: value for key, value in labels.items() if key.startswith("volcano")},
            "annotations": {
                key: value
                for key, value in (meta.get("annotations") or {}).items()
                if not key.startswith("kubectl.")
            },
            "ownerReferences": [reference],
        },
        "spec": spec,
    }


def _quantity(resource: str, value: int) -> str:
    if resource == "cpu":
        return f"{value}m" if value % 1000 else str(value // 1000)
    return str(value // 1000)


def worker_name(cluster: str, group: str, nonce: str) -> str:
    """A name for a new worker; `nonce` tells it from the others."""
    return f"{cluster}-{group}-worker-{hashlib.sha256(nonce.encode()).hexdigest()[:5]}"
