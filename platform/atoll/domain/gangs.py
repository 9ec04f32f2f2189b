"""The gang mirror's rules: what a virtual cluster's PodGroup is on the host, and what comes back.

The contract is Volcano's: a pod finds its PodGroup by its own namespace and the annotation
`scheduling.k8s.io/group-name`. vcluster copies the annotation unchanged, so the copy of a PodGroup
bears the same name, and all virtual namespaces of one virtual cluster share the names.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from atoll.domain.names import (
    ANNOTATION_FENCE,
    ANNOTATION_HASH,
    ANNOTATION_VIRTUAL_NAMESPACE,
    FIELD_MANAGER,
    LABEL_MANAGED,
    LABEL_STEP,
    LABEL_TEAM,
    LABEL_VIRTUAL_CLUSTER,
    MIRROR_STEP,
    host_namespace,
    host_queue,
)
from atoll.domain.quantities import parse_quantity
from atoll.domain.queue_shares import queue_share
from atoll.domain.quotas import is_extended

Object = dict[str, Any]
GROUP_NAME = "scheduling.k8s.io/group-name"
NAME_TAKEN = "NameTaken"
NO_ROOM = "TooManyGangs"
MOST_GANGS = 2000
"""Gangs that one virtual cluster has on the host, whose scheduler and etcd all teams share."""
CLAIMS_LIMIT = 128 * 1024
"""Most bytes of the text of claims. Kubernetes takes 256 KiB of annotations of an object in all, others'
with ours, and the host's policy may spend only so much on reading them for each pod.
"""
_COPIED = ("minMember", "minTaskMember", "minResources")
_BROUGHT_BACK = ("phase", "running", "succeeded", "failed")


def written_claims(claims: Mapping[str, str]) -> str:
    """Gang -> virtual namespace as the text `,gang=namespace,other=namespace,`; empty for none.

    In commas on both sides, so that the host's policy finds an entry by comparing text. Neither part can
    hold a comma or `=`. With names as KubeRay makes them MOST_GANGS comes before CLAIMS_LIMIT.
    """
    text = ",".join(f"{gang}={holder}" for gang, holder in sorted(claims.items()))
    return f",{text}," if text else ""


def claim_bytes(gang: str, holder: str) -> int:
    """How much longer the text of claims is with this one."""
    return len(gang) + len(holder) + 2


def read_claims(text: str) -> dict[str, str]:
    """The inverse of `written_claims`."""
    entries = (entry.partition("=") for entry in text.split(",") if entry)
    return {gang: holder for gang, _, holder in entries}


def mirrored(group: Object, *, virtual_cluster: str, team: str, fence: int) -> Object:
    """The host's PodGroup for one inside.

    Only sizes are taken over, and only those that can be one. The queue is the virtual cluster's own;
    priority, preemption hints and every other label and annotation would reach beyond it and stay
    inside.
    """
    spec = _sizes(group.get("spec") or {})
    spec["queue"] = host_queue(virtual_cluster)
    text = json.dumps(spec, sort_keys=True, separators=(",", ":"))
    return {
        "apiVersion": "scheduling.volcano.sh/v1beta1",
        "kind": "PodGroup",
        "metadata": {
            "name": group["metadata"]["name"],
            "namespace": host_namespace(virtual_cluster),
            "labels": {
                LABEL_MANAGED: FIELD_MANAGER,
                LABEL_TEAM: team,
                LABEL_VIRTUAL_CLUSTER: virtual_cluster,
                LABEL_STEP: MIRROR_STEP,
            },
            "annotations": {
                ANNOTATION_FENCE: str(fence),
                ANNOTATION_VIRTUAL_NAMESPACE: group["metadata"]["namespace"],
                ANNOTATION_HASH: hashlib.sha256(text.encode()).hexdigest()[:16],
            },
        },
        "spec": spec,
    }


def _sizes(spec: Mapping[str, Any]) -> Object:
    """Volcano's definition takes negative numbers. The host's scheduler, which all teams share, would
    count them as room that is not there.
    """
    sizes: Object = {}
    for key in _COPIED:
        value = spec.get(key)
        if isinstance(value, Mapping):
            value = {name: amount for name, amount in value.items() if _is_amount(amount)}
        if value and (isinstance(value, Mapping) or _is_amount(value)):
            sizes[key] = value
    return sizes


def _is_amount(value: Any) -> bool:
    try:
        parse_quantity(value)
    except ValueError:
        return False
    return True


def owner(claimants: Sequence[Object], held_by: str | None) -> Object | None:
    """Which of the PodGroups of one name is the gang: who has the name already, else the oldest."""
    ordered = sorted(
        claimants,
        key=lambda g: (
            g["metadata"]["namespace"] != held_by,
            g["metadata"].get("creationTimestamp", ""),
            g["metadata"]["namespace"],
        ),
    )
    return ordered[0] if ordered else None


def refused(group: Object, held_by: str) -> Object:
    """The status of a PodGroup whose name another virtual namespace has; users and KubeRay see why."""
    name, mine = group["metadata"]["name"], group["metadata"]["namespace"]
    message = (
        f"Namespace {held_by} of this virtual cluster already has a gang {name}. In a shared virtual "
        f"cluster Ray clusters and jobs of all namespaces need different names: delete the one in "
        f"{mine} and make it again under another name."
    )
    return _held_back(NAME_TAKEN, message)


def left_out() -> Object:
    """The status of a PodGroup whose name can be noted only when others are gone."""
    return _held_back(
        NO_ROOM,
        f"This virtual cluster has as many gangs on the host as it may have (at most {MOST_GANGS}, fewer "
        "with long names). Delete Ray clusters and jobs that have ended, or use shorter names or another "
        "virtual cluster. This gang gets its turn by itself when there is room.",
    )


def _held_back(reason: str, message: str) -> Object:
    condition = {"type": "Unschedulable", "status": "True", "reason": reason, "message": message}
    return {"phase": "Pending", "conditions": [condition]}


def brought_back(host: Object) -> Object:
    """What the host's scheduler says of a gang, as the PodGroup inside shows it."""
    status = host.get("status") or {}
    shown: Object = {key: status[key] for key in _BROUGHT_BACK if status.get(key) is not None}
    shown["conditions"] = [
        {key: value for key, value in condition.items() if key != "transitionID"}
        for condition in status.get("conditions") or []
    ]
    return shown


def same_status(shown: Object | None, wanted: Object) -> bool:
    """Whether a PodGroup says this already; moments do not count, or each would cost a write."""
    have = shown or {}
    plain = [
        {k: v for k, v in c.items() if k not in ("lastTransitionTime", "transitionID")}
        for c in have.get("conditions") or []
    ]
    want = [{k: v for k, v in c.items() if k != "lastTransitionTime"} for c in wanted["conditions"]]
    rest = {k: v for k, v in wanted.items() if k != "conditions"}
    return plain == want and all(have.get(k) == v for k, v in rest.items())


def virtual_namespace(host: Object) -> str:
    """The virtual namespace that a copy on the host belongs to."""
    notes = host["metadata"].get("annotations") or {}
    return str(notes.get(ANNOTATION_VIRTUAL_NAMESPACE, ""))


def fence_of(host: Object) -> int:
    """The fence a copy was written with; 0 when it has none."""
    text = str((host["metadata"].get("annotations") or {}).get(ANNOTATION_FENCE, ""))
    return int(text) if text.isdigit() else 0


def capability(quota: Mapping[str, str]) -> dict[str, str]:
    """What of a virtual cluster's quota the gang scheduler itself holds: CPU, memory, devices."""
    return {name: amount for name, amount in quota.items() if _scheduled(name)}


def _scheduled(resource: str) -> bool:
    return resource in ("cpu", "memory") or is_extended(resource)


def queue_spec(
    quota: Mapping[str, str], limits: Mapping[str, str], guaranteed: Mapping[str, str]
) -> Object:
    """The host queue of a shared virtual cluster (Volcano, Queue v1beta1).

    `capability`, its hard cap, is its quota. `guarantee` is its part of what its team is guaranteed,
    by its part of the team's limit: the parts of all virtual clusters of a team never pass the whole,
    and none changes when another comes or goes. `weight` is its whole CPUs (1 to 65535), so that a team
    gains nothing by cutting its quota into more virtual clusters.
    """
    cap = capability(quota)
    share = queue_share(cap, limits, guaranteed).guarantee
    weight = max(1, min(65535, int(parse_quantity(cap.get("cpu", "1")))))
    spec: Object = {"weight": weight, "reclaimable": False, "capability": cap}
    return {**spec, "guarantee": {"resource": share}} if share else spec
