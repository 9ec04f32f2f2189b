"""The status KubeRay gives to a RayCluster; pure functions."""

from __future__ import annotations

from atoll.hosts.sandbox.agent.gang import Amounts, added, demand
from atoll.hosts.sandbox.agent.raypods import groups, head_pod, head_service_name, worker_pod
from atoll.hosts.sandbox.kube import Obj
from atoll.hosts.sandbox.objects import now

_ENDPOINTS = {"dashboard": "8265", "gcs-server": "6379", "client": "10001", "metrics": "8080"}


def is_ready(pod: Obj | None) -> bool:
    """Whether a pod's condition Ready is true."""
    conditions = ((pod or {}).get("status") or {}).get("conditions") or []
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def cluster_status(cluster: Obj, head: Obj | None, workers: list[Obj]) -> Obj:
    """The new status; equal to the old one when nothing changed."""
    known = cluster.get("status") or {}
    wanted = sum(count for _, count in groups(cluster))
    suspended = bool(cluster["spec"].get("suspend"))
    ready = sum(is_ready(pod) for pod in workers)
    running = sum((pod.get("status") or {}).get("phase") == "Running" for pod in workers)
    complete = not suspended and is_ready(head) and ready >= wanted
    status = {
        **known,
        "desiredWorkerReplicas": wanted,
        "availableWorkerReplicas": running,
        "readyWorkerReplicas": ready,
        "minWorkerReplicas": _sum(cluster, "minReplicas"),
        "maxWorkerReplicas": _sum(cluster, "maxReplicas"),
        "endpoints": _ENDPOINTS,
        "head": _head(cluster, head),
        "observedGeneration": cluster["metadata"]["generation"],
        "conditions": _conditions(known, head, complete, suspended, bool(workers)),
        **_desired(cluster),
    }
    state = "ready" if complete else "suspended" if suspended and not (head or workers) else None
    if state and known.get("state") != state:
        times = known.get("stateTransitionTimes") or {}
        status |= {"state": state, "stateTransitionTimes": {**times, state: now()}}
    return status


def _sum(cluster: Obj, field: str) -> int:
    workers = cluster["spec"].get("workerGroupSpecs") or []
    return sum(int(group.get(field) or 0) * int(group.get("numOfHosts") or 1) for group in workers)


def _head(cluster: Obj, head: Obj | None) -> Obj:
    ip = ((head or {}).get("status") or {}).get("podIP", "")
    service = head_service_name(cluster["metadata"]["name"])
    name = head["metadata"]["name"] if head else ""
    return {"podIP": ip, "podName": name, "serviceIP": ip, "serviceName": service}


def _desired(cluster: Obj) -> Obj:
    pods = [head_pod(cluster, "")]
    for group, count in groups(cluster):
        pods += [worker_pod(cluster, group, "any", "")] * count
    total: Amounts = added(*(demand(pod) for pod in pods))
    cpu = total.get("cpu", 0)
    gpu = total.get("nvidia.com/gpu", 0)
    return {
        "desiredCPU": f"{cpu}m" if cpu % 1000 else str(cpu // 1000),
        "desiredMemory": str(total.get("memory", 0) // 1000),
        "desiredGPU": str(gpu // 1000),
        "desiredTPU": "0",
    }


def _conditions(
    known: Obj, head: Obj | None, complete: bool, suspended: bool, workers: bool
) -> list[Obj]:
    before = {one["type"]: one for one in known.get("conditions") or []}
    # Once true it stays true: it tells of the first time only.
    provisioned = complete or before.get("RayClusterProvisioned", {}).get("status") == "True"
    provisioned = provisioned and not suspended
    head_up = is_ready(head)
    gone = suspended and head is None and not workers
    wanted = [
        ("HeadPodReady", head_up, "HeadPodRunningAndReady" if head_up else "HeadPodNotFound"
         if head is None else "ContainersNotReady"),
        ("RayClusterProvisioned", provisioned,
         "AllPodRunningAndReadyFirstTime" if provisioned else "RayClusterPodsProvisioning"),
        ("RayClusterSuspended", gone, "RayClusterSuspended" if gone else "NotSuspended"),
        ("RayClusterSuspending", suspended and not gone, "UserRequestedSuspend"
         if suspended and not gone else "NotSuspending"),
    ]  # fmt: skip
    return [_condition(before.get(kind), kind, value, reason) for kind, value, reason in wanted]


def _condition(before: Obj | None, kind: str, value: bool, reason: str) -> Obj:
    status = "True" if value else "False"
    if before is not None and before["status"] == status and before["reason"] == reason:
        return before
    same = before is not None and before["status"] == status
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": "",
        "lastTransitionTime": before["lastTransitionTime"] if before and same else now(),
    }
