"""Turns a virtual pod or Service into its host copy; pure functions."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from atoll.hosts.sandbox.agent.names import host_name, label_key
from atoll.hosts.sandbox.agent.world import (
    CONTROLLED_BY,
    MANAGED_BY,
    OBJECT_NAME,
    OBJECT_NAMESPACE,
)
from atoll.hosts.sandbox.kube import Obj

VIRTUAL_NAMESPACE = "vcluster.loft.sh/namespace"
_RESERVED = ("release", VIRTUAL_NAMESPACE, MANAGED_BY, CONTROLLED_BY)
_TOKEN_VOLUME = "kube-api-access-"  # noqa: S105 (a volume's name)


@dataclass(frozen=True)
class Tenancy:
    """What the translation needs to know about a virtual cluster."""

    name: str
    namespace: str
    own_scheduler: bool = False
    node_labels: dict[str, str] = field(default_factory=dict)
    keep_priority: bool = False
    default_priority: str = ""
    owner: Obj | None = None

    def host_name(self, name: str, namespace: str) -> str:
        """Host name of an object of this virtual cluster."""
        return host_name(name, namespace, self.name)


def metadata(item: Obj, kind: str, tenancy: Tenancy) -> Obj:
    """Name, labels, annotations and owner of the host copy."""
    meta = item["metadata"]
    namespace, name = meta["namespace"], meta["name"]
    host = tenancy.host_name(name, namespace)
    notes = {
        **(meta.get("annotations") or {}),
        OBJECT_NAME: name,
        OBJECT_NAMESPACE: namespace,
        "vcluster.loft.sh/object-uid": meta["uid"],
        "vcluster.loft.sh/object-kind": kind,
        "vcluster.loft.sh/object-host-name": host,
        "vcluster.loft.sh/object-host-namespace": tenancy.namespace,
    }
    body: Obj = {
        "name": host,
        "namespace": tenancy.namespace,
        "labels": labels(meta.get("labels") or {}, namespace, tenancy),
        "annotations": notes,
    }
    if tenancy.owner is not None:
        owned = any(owner.get("controller") for owner in meta.get("ownerReferences") or [])
        body["ownerReferences"] = [{**tenancy.owner, "controller": owned}]
    return body


def labels(virtual: dict[str, str], namespace: str, tenancy: Tenancy) -> dict[str, str]:
    """Labels of the host copy: unchanged, but for the few that vcluster keeps for itself."""
    changed = {
        label_key(key, tenancy.name) if key in _RESERVED else key: value
        for key, value in virtual.items()
    }
    return {**changed, MANAGED_BY: tenancy.name, VIRTUAL_NAMESPACE: namespace}


def host_pod(pod: Obj, tenancy: Tenancy) -> Obj:
    """The host copy of a virtual pod."""
    meta = metadata(pod, "Pod", tenancy)
    owners = pod["metadata"].get("ownerReferences") or []
    if owners:
        meta["annotations"]["vcluster.loft.sh/owner-references"] = json.dumps(owners)
        meta["annotations"]["vcluster.loft.sh/owner-set-kind"] = owners[0]["kind"]
    spec = copy.deepcopy(pod["spec"])
    for unwanted in ("serviceAccount", "priority", "ephemeralContainers"):
        spec.pop(unwanted, None)
    if not tenancy.keep_priority:
        spec.pop("priorityClassName", None)
    if tenancy.default_priority and not spec.get("priorityClassName"):
        spec["priorityClassName"] = tenancy.default_priority
    spec["serviceAccountName"] = f"vc-workload-{tenancy.name}"
    spec["automountServiceAccountToken"] = False
    spec["enableServiceLinks"] = False
    _place(spec, tenancy)
    _drop_token(spec)
    for _, holder, field_name in references(spec):
        holder[field_name] = tenancy.host_name(holder[field_name], pod["metadata"]["namespace"])
    return {"metadata": meta, "spec": spec}


def references(spec: Obj) -> Iterator[tuple[str, Obj, str]]:
    """Every place in a pod spec that names another object: its kind, and where the name stands."""
    for volume in spec.get("volumes") or []:
        yield from _volume_references(volume)
    for container in [*spec["containers"], *(spec.get("initContainers") or [])]:
        for source in container.get("envFrom") or []:
            yield from _named(source, "secretRef", "Secret")
            yield from _named(source, "configMapRef", "ConfigMap")
        for variable in container.get("env") or []:
            source = variable.get("valueFrom") or {}
            yield from _named(source, "secretKeyRef", "Secret")
            yield from _named(source, "configMapKeyRef", "ConfigMap")
    for pull in spec.get("imagePullSecrets") or []:
        yield "Secret", pull, "name"


def _volume_references(volume: Obj) -> Iterator[tuple[str, Obj, str]]:
    if "secret" in volume:
        yield "Secret", volume["secret"], "secretName"
    if "configMap" in volume:
        yield "ConfigMap", volume["configMap"], "name"
    if "persistentVolumeClaim" in volume:
        yield "PersistentVolumeClaim", volume["persistentVolumeClaim"], "claimName"
    for source in (volume.get("projected") or {}).get("sources") or []:
        yield from _named(source, "secret", "Secret")
        yield from _named(source, "configMap", "ConfigMap")


def _named(holder: Obj, key: str, kind: str) -> Iterator[tuple[str, Obj, str]]:
    if key in holder:
        yield kind, holder[key], "name"


def _place(spec: Obj, tenancy: Tenancy) -> None:
    if tenancy.own_scheduler:
        for decided in ("affinity", "nodeSelector", "topologySpreadConstraints"):
            spec.pop(decided, None)
        return
    spec.pop("nodeName", None)
    if tenancy.node_labels:
        spec["nodeSelector"] = {**(spec.get("nodeSelector") or {}), **tenancy.node_labels}


def _drop_token(spec: Obj) -> None:
    kept = [v for v in spec.get("volumes") or [] if not v["name"].startswith(_TOKEN_VOLUME)]
    spec["volumes"] = kept
    for container in [*spec["containers"], *(spec.get("initContainers") or [])]:
        mounts = container.get("volumeMounts") or []
        container["volumeMounts"] = [
            mount for mount in mounts if not mount["name"].startswith(_TOKEN_VOLUME)
        ]


def host_service(service: Obj, tenancy: Tenancy) -> Obj:
    """The host copy of a virtual Service."""
    spec = copy.deepcopy(service["spec"])
    headless = spec.get("clusterIP") == "None"
    for own in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort"):
        spec.pop(own, None)
    for port in spec.get("ports") or []:
        port.pop("nodePort", None)
    if headless:
        spec["clusterIP"] = "None"
    if spec.get("selector"):
        spec["selector"] = labels(spec["selector"], service["metadata"]["namespace"], tenancy)
    return {"metadata": metadata(service, "Service", tenancy), "spec": spec}


def virtual_status(status: Obj) -> Obj:
    """A host pod's status as the virtual pod shows it: generations mean nothing there."""
    shown: dict[str, Any] = {k: v for k, v in status.items() if k != "observedGeneration"}
    shown["conditions"] = [
        {key: value for key, value in condition.items() if key != "observedGeneration"}
        for condition in status.get("conditions") or []
    ]
    return shown
