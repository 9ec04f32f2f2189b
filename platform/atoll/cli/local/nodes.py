"""The host's nodes: which templates there are, and labels for nodes that have none."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from atoll.cluster.client import Cluster
from atoll.cluster.kinds import NODE
from atoll.domain.names import LABEL_VIRTUAL_CLUSTER
from atoll.domain.quantities import parse_quantity
from atoll.settings import Settings

GIB = Decimal(1024) ** 3


@dataclass(frozen=True)
class Node:
    """A node that takes pods: template (None without a label), owner, CPUs and bytes for pods."""

    name: str
    template: str | None
    owner: str | None
    cpu: Decimal
    memory: Decimal


async def read(kubeconfig: Path) -> list[Node]:
    """Every node of the host that is Ready and takes pods."""
    async with Cluster.from_file(kubeconfig) as cluster:
        return usable(await cluster.items(NODE), Settings().node_label)


def usable(objects: Iterable[dict[str, Any]], label: str) -> list[Node]:
    """The Ready ones among Node objects, without those that keep pods away."""
    return [_node(found, label) for found in objects if _takes_pods(found)]


async def label(kubeconfig: Path, nodes: Iterable[Node]) -> list[str]:
    """Give nodes without a template the one of their size; their names."""
    done = []
    async with Cluster.from_file(kubeconfig) as cluster:
        for node in nodes:
            labels = {Settings().node_label: template_of(node)}
            await cluster.patch(NODE, node.name, {"metadata": {"labels": labels}})
            done.append(node.name)
    return done


async def unlabel(kubeconfig: Path, names: Iterable[str]) -> None:
    """Take back the labels that `label` gave."""
    async with Cluster.from_file(kubeconfig) as cluster:
        for name in names:
            if await cluster.find(NODE, name):
                labels = {Settings().node_label: None}
                await cluster.patch(NODE, name, {"metadata": {"labels": labels}})


def template_of(node: Node) -> str:
    """The template a node's size stands for, as 4c8g."""
    return f"{int(node.cpu)}c{int(node.memory / GIB)}g"


def _takes_pods(found: dict[str, Any]) -> bool:
    if found.get("spec", {}).get("unschedulable"):
        return False
    taints = found.get("spec", {}).get("taints") or []
    if any(re.search("control-plane|master", taint["key"]) for taint in taints):
        return False
    conditions = found.get("status", {}).get("conditions") or []
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _node(found: dict[str, Any], label: str) -> Node:
    labels = found["metadata"].get("labels") or {}
    space = found.get("status", {}).get("allocatable") or {}
    return Node(
        found["metadata"]["name"], labels.get(label), labels.get(LABEL_VIRTUAL_CLUSTER),
        parse_quantity(space.get("cpu", "0")), parse_quantity(space.get("memory", "0")),
    )  # fmt: skip
