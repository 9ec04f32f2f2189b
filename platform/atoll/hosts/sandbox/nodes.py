"""Node templates: `4c8g` is 4 CPUs and 8 GiB, `8c64g1x` has one GPU as well."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TEMPLATE_LABEL = "atoll.dev/node-template"
OWNER_LABEL = "sandbox.atoll.dev/node"
_FORM = re.compile(r"([1-9]\d{0,3})c([1-9]\d{0,4})g(?:([1-9]\d?)x)?")


@dataclass(frozen=True)
class NodeTemplate:
    """Size of a node: CPUs, memory in GiB, GPUs."""

    name: str
    cpus: int
    memory: int
    gpus: int = 0

    @classmethod
    def parse(cls, text: str) -> NodeTemplate:
        """Read a template; ValueError says which form is expected."""
        match = _FORM.fullmatch(text)
        if match is None:
            raise ValueError(
                f"node template {text!r} is not understood: write <cpus>c<GiB>g, with GPUs "
                "<cpus>c<GiB>g<gpus>x, for example 4c8g or 8c64g1x"
            )
        cpus, memory, gpus = match.groups()
        return cls(text, int(cpus), int(memory), int(gpus or 0))

    def capacity(self) -> dict[str, str]:
        """The node's capacity as Kubernetes quantities."""
        amount = {
            "cpu": str(self.cpus),
            "memory": f"{self.memory}Gi",
            "ephemeral-storage": "200Gi",
            "pods": "110",
        }
        if self.gpus:
            amount["nvidia.com/gpu"] = str(self.gpus)
        return amount


def desired_nodes(counts: Mapping[str, int]) -> dict[str, NodeTemplate]:
    """Node name to template; ValueError for a bad template or a negative count."""
    nodes: dict[str, NodeTemplate] = {}
    for text, count in counts.items():
        template = NodeTemplate.parse(text)
        if count < 0:
            raise ValueError(f"node template {text!r}: the count must not be negative, got {count}")
        nodes |= {f"node-{text}-{number}": template for number in range(1, count + 1)}
    return nodes


def node_manifest(name: str, template: NodeTemplate) -> dict[str, Any]:
    """The Node object KWOK plays."""
    labels = {
        TEMPLATE_LABEL: template.name,
        OWNER_LABEL: "true",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "node.kubernetes.io/instance-type": template.name,
        "topology.kubernetes.io/region": "sandbox",
        "topology.kubernetes.io/zone": "sandbox-a",
        "type": "kwok",
    }
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": labels,
            "annotations": {"kwok.x-k8s.io/node": "fake"},
        },
        "spec": {},
    }


def node_status(name: str, template: NodeTemplate, now: str, version: str) -> dict[str, Any]:
    """The status of a healthy node; `now` is an RFC 3339 time."""
    conditions = [
        _condition("Ready", "True", "KubeletReady", now),
        _condition("MemoryPressure", "False", "KubeletHasSufficientMemory", now),
        _condition("DiskPressure", "False", "KubeletHasNoDiskPressure", now),
        _condition("PIDPressure", "False", "KubeletHasSufficientPID", now),
    ]
    return {
        "capacity": template.capacity(),
        "allocatable": template.capacity(),
        "conditions": conditions,
        "addresses": [
            {"type": "InternalIP", "address": "127.0.0.1"},
            {"type": "Hostname", "address": name},
        ],
        "nodeInfo": {
            "architecture": "amd64",
            "operatingSystem": "linux",
            "kubeletVersion": version,
            "kubeProxyVersion": "",
            "containerRuntimeVersion": "sandbox://1",
            "osImage": "sandbox (simulated)",
            "kernelVersion": "",
            "bootID": "",
            "machineID": "",
            "systemUUID": "",
        },
    }


def _condition(kind: str, status: str, reason: str, now: str) -> dict[str, str]:
    return {
        "type": kind,
        "status": status,
        "reason": reason,
        "message": reason,
        "lastHeartbeatTime": now,
        "lastTransitionTime": now,
    }
