"""From what KubeRay and Ray report to what callers read. Pure."""

from datetime import UTC, datetime
from typing import Any, cast, get_args

from atoll.contract.ray import JobStatus, RayClusterRead, RayJobRead
from atoll.domain.names import ANNOTATION_OVER_QUOTA, RAY_NAMESPACE

Object = dict[str, Any]
_OVER_QUOTA = (
    "The virtual cluster holds as many Ray clusters as its quota allows; this one goes on when another is "
    "deleted or the quota is raised"
)
TERMINAL = ("SUCCEEDED", "FAILED", "STOPPED")


def ray_cluster_read(found: Object, virtual_cluster: str, kept: set[str]) -> RayClusterRead:
    """A RayCluster; `kept` are the names that the virtual cluster's spec asks for."""
    meta, spec, status = found["metadata"], found.get("spec") or {}, found.get("status") or {}
    name, namespace = meta["name"], meta["namespace"]
    state, message = _state(found)
    groups = spec.get("workerGroupSpecs") or []
    here = namespace == RAY_NAMESPACE
    return RayClusterRead(
        name=name,
        namespace=namespace,
        state=state,
        message=message,
        ray_version=spec.get("rayVersion") or "",
        workers=sum(group.get("replicas") or 0 for group in groups),
        ready_workers=status.get("readyWorkerReplicas") or 0,
        fault_tolerant="gcsFaultToleranceOptions" in spec,
        created_at=meta.get("creationTimestamp"),
        from_spec=here and name in kept,
        proxy=proxy_path(virtual_cluster, name) if here else "",
    )


def proxy_path(virtual_cluster: str, cluster: str) -> str:
    """Path of the way to a Ray cluster's dashboard and job API."""
    return f"/v1/virtual-clusters/{virtual_cluster}/ray-clusters/{cluster}/proxy/"


def _state(found: Object) -> tuple[str, str]:
    """The state in one word, and why it is not ready."""
    status = found.get("status") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or []}
    if found["metadata"].get("deletionTimestamp"):
        return "deleting", ""
    if _is(conditions, "RayClusterSuspended", "True") or status.get("state") == "suspended":
        held_back = ANNOTATION_OVER_QUOTA in (found["metadata"].get("annotations") or {})
        return "suspended", _OVER_QUOTA if held_back else ""
    if _is(conditions, "ReplicaFailure", "True"):
        return "failed", _words(conditions["ReplicaFailure"])
    if status.get("state") == "failed":
        return "failed", status.get("reason") or ""
    # `state` and RayClusterProvisioned stay when a head dies later; HeadPodReady does not.
    head_lost = _is(conditions, "HeadPodReady", "False")
    if status.get("state") == "ready" and not head_lost:
        return "ready", ""
    unmet = (c for c in conditions.values() if c["status"] == "False" and _waits(c))
    return "pending", "; ".join(_words(c) for c in unmet) or status.get("reason") or ""


def _is(conditions: dict[str, Object], kind: str, status: str) -> bool:
    return conditions.get(kind, {}).get("status") == status


def _waits(condition: Object) -> bool:
    return condition["type"] in ("HeadPodReady", "RayClusterProvisioned")


def _words(condition: Object) -> str:
    reason, message = condition.get("reason") or "", condition.get("message") or ""
    return f"{reason}: {message}" if reason and message else reason or message


def ray_job_read(found: Object, cluster: str) -> RayJobRead:
    """A job as Ray's job API gives it; times there are milliseconds since 1970."""
    return RayJobRead(
        name=found.get("submission_id") or found.get("job_id") or "",
        cluster=cluster,
        status=_job_status(found.get("status")),
        entrypoint=found.get("entrypoint") or "",
        # What follows is of Ray's insides; the log has what is of the job.
        message=(found.get("message") or "").partition(" Full traceback:")[0],
        started_at=_time(found.get("start_time")),
        ended_at=_time(found.get("end_time")),
    )


def ray_job_resource_read(found: Object) -> RayJobRead:
    """A RayJob resource, as somebody made it with kubectl."""
    spec, status = found.get("spec") or {}, found.get("status") or {}
    failed = status.get("jobDeploymentStatus") in ("Failed", "ValidationFailed")
    return RayJobRead(
        name=found["metadata"]["name"],
        cluster=status.get("rayClusterName") or "",
        status=_job_status(status.get("jobStatus") or ("FAILED" if failed else None)),
        entrypoint=spec.get("entrypoint") or "",
        message=status.get("message") or status.get("reason") or "",
        started_at=status.get("startTime"),
        ended_at=status.get("endTime"),
    )


def _job_status(text: str | None) -> JobStatus:
    return cast(JobStatus, text) if text in get_args(JobStatus) else "PENDING"


def _time(milliseconds: int | None) -> str | None:
    if not milliseconds:
        return None
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
