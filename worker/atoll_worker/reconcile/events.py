"""Kubernetes Events for every transition, so that `kubectl describe` tells the story."""

import contextlib
from typing import Any

from atoll.cluster.client import Cluster
from atoll.errors import AtollError
from atoll.resources.meta import API_VERSION, Metadata, now_text
from atoll.resources.virtual_clusters import VirtualCluster, VirtualClusterStatus
from atoll_worker.reconcile.outcome import AT_WORK

NAMESPACE = "default"
"""Where Kubernetes keeps events of cluster-scoped objects."""


def transitions(vc: VirtualCluster, new: VirtualClusterStatus) -> list[tuple[str, str, str]]:
    """(type, reason, message) of every condition whose status or reason changed."""
    old = {c.type: (c.status, c.reason) for c in vc.status.conditions}
    told = []
    for condition in new.conditions:
        if old.get(condition.type) == (condition.status, condition.reason):
            continue
        passing = condition.reason == AT_WORK or condition.reason.startswith("WaitingFor")
        if condition.status == "Unknown" or passing:
            continue
        failed = any(s.state == "failed" and s.reason == condition.reason for s in new.steps)
        kind = "Warning" if failed else "Normal"
        told.append((kind, condition.reason, f"{condition.type}: {condition.message}"))
    return told


async def write_events(host: Cluster, vc: VirtualCluster, new: VirtualClusterStatus) -> None:
    """Best effort: an event that cannot be written must not undo the work it tells of."""
    for index, (kind, reason, message) in enumerate(transitions(vc, new)):
        with contextlib.suppress(AtollError):
            await host.create(_event(vc.metadata, kind, reason, message, index))


async def write_warning(host: Cluster, meta: Metadata, reason: str, message: str) -> None:
    """One event of a virtual cluster that cannot be read beyond its metadata; best effort as well."""
    with contextlib.suppress(AtollError):
        await host.create(_event(meta, "Warning", reason, message, 0))


def _event(meta: Metadata, kind: str, reason: str, message: str, index: int) -> dict[str, Any]:
    now = now_text()
    stamp = now[:19] + "Z"
    unique = "".join(ch for ch in now if ch.isdigit())
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{meta.name}.{unique}.{index}", "namespace": NAMESPACE},
        "involvedObject": {
            "apiVersion": API_VERSION, "kind": VirtualCluster.KIND, "name": meta.name,
            "uid": meta.uid,
        },
        "type": kind,
        "reason": reason,
        "message": message[:1000],
        "firstTimestamp": stamp,
        "lastTimestamp": stamp,
        "count": 1,
        "source": {"component": "atoll"},
    }  # fmt: skip
