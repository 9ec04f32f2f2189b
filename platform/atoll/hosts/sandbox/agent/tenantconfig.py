"""The chart values of a virtual cluster, as far as the sandbox honours them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import yaml

from atoll.hosts.sandbox.kube import Obj


@dataclass(frozen=True)
class TenantConfig:
    """What the agent reads from the values of the vcluster chart."""

    kubernetes: str
    own_scheduler: bool
    node_labels: dict[str, str] | None
    pinned_labels: dict[str, str]
    priority_classes: bool
    default_priority: str
    replicated: dict[tuple[str, str], tuple[str, str]]
    server: str
    context: str
    names: tuple[str, ...]
    set_owner: bool

    @classmethod
    def read(cls, secret: Obj, namespace: str) -> TenantConfig:
        """From the Secret vc-config-<release>, whose values the chart has written."""
        text = base64.b64decode(secret["data"]["config.yaml"]).decode()
        values: Any = yaml.safe_load(text)
        control, sync = values["controlPlane"], values["sync"]["fromHost"]
        k8s = control["distro"]["k8s"]
        nodes = sync.get("nodes") or {}
        selector = nodes.get("selector") or {}
        labels = {key: str(value) for key, value in (selector.get("labels") or {}).items()}
        virtual = (control.get("advanced") or {}).get("virtualScheduler") or {}
        export = values.get("exportKubeConfig") or {}
        return cls(
            kubernetes=str(k8s.get("version") or k8s["image"]["tag"]).removeprefix("v"),
            own_scheduler=bool((k8s.get("scheduler") or {}).get("enabled"))
            or bool(virtual.get("enabled")),
            node_labels=labels if nodes.get("enabled") else None,
            pinned_labels=labels,
            priority_classes=bool((sync.get("priorityClasses") or {}).get("enabled")),
            default_priority=str(
                (values["sync"]["toHost"].get("pods") or {}).get("priorityClassName") or ""
            ),
            replicated=_replicated(values, namespace),
            server=str(export.get("server") or ""),
            context=str(export.get("context") or ""),
            names=tuple((control.get("proxy") or {}).get("extraSANs") or ()),
            set_owner=bool(values["experimental"]["syncSettings"].get("setOwner", True)),
        )


def _replicated(values: Any, namespace: str) -> dict[tuple[str, str], tuple[str, str]]:
    entries = (values["networking"].get("replicateServices") or {}).get("fromHost") or []
    return {
        _key(str(entry["from"]), namespace): _key(str(entry["to"]), "default") for entry in entries
    }


def _key(text: str, namespace: str) -> tuple[str, str]:
    where, _, name = text.rpartition("/")
    return where or namespace, name


def emulated(asked: str, binary: str) -> tuple[str | None, str]:
    """Which version the one binary shall emulate for the version asked for, and what to say of it.

    Kubernetes emulates its three preceding minor versions; None means that nothing is emulated.
    """
    wanted, real = _minor(asked), _minor(binary)
    if wanted == real or wanted is None or real is None:
        return None, f"asked for Kubernetes v{asked}; runs kube-apiserver v{binary}"
    if real - 3 <= wanted < real:
        return f"1.{wanted}", (
            f"asked for Kubernetes v{asked}; runs kube-apiserver v{binary} emulating 1.{wanted}"
        )
    return None, (
        f"asked for Kubernetes v{asked}, which the sandbox cannot emulate; "
        f"runs kube-apiserver v{binary}"
    )


def _minor(version: str) -> int | None:
    parts = version.split(".")
    return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else None
