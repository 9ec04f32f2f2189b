"""How many host nodes there are of each template. Needs `list` on nodes, and nothing more."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from atoll.cluster import kinds
from atoll.cluster.client import Cluster, Object
from atoll.domain.names import LABEL_SHARED_NODE, LABEL_VIRTUAL_CLUSTER
from atoll.domain.node_sizes import size_of
from atoll.domain.nodes import HostNode
from atoll.domain.plurals import count, verb
from atoll.domain.quotas import is_extended
from atoll.errors import FieldProblem, ForbiddenError
from atoll.resources.faults import pointer


@dataclass(frozen=True)
class NodeInventory:
    """The host's nodes as far as they carry a template."""

    nodes: tuple[HostNode, ...]

    def counts(self) -> dict[str, int]:
        """Template -> how many nodes of it the host has."""
        return dict(sorted(Counter(n.template for n in self.nodes).items()))

    def problems(self, wanted: Mapping[str, int]) -> list[FieldProblem]:
        """Replica sets over what exists, with the numbers."""
        counts = self.counts()
        kinds_of_node = _in_words(counts)
        return [
            FieldProblem(
                pointer("spec", "replicaSets", template),
                f"{nodes_of(asked, template)} asked, the host has {counts.get(template, 0)}; there are: "
                f"{kinds_of_node}",
                str(counts.get(template, 0)),
            )
            for template, asked in sorted(wanted.items())
            if asked > counts.get(template, 0)
        ]

    def extended(self) -> frozenset[str]:
        """Extended resources that some node has, such as nvidia.com/gpu."""
        return frozenset(name for node in self.nodes for name in node.size if "/" in name)

    def unknown_resources(self, quota: Iterable[str]) -> list[FieldProblem]:
        """Extended resources of a quota that no node has, with those that are there."""
        there = self.extended()
        named = {name for name in quota if is_extended(name)} - there
        if not named or not all(node.size for node in self.nodes):
            return []
        words = ", ".join(sorted(there)) or "none"
        return [
            FieldProblem(
                pointer("spec", "quota", name),
                f"no node of the host has {name!r}; extended resources there: {words}. Use one of those, "
                "or leave it out",
            )
            for name in sorted(named)
        ]

    def waits_for(self, owner: str, wanted: Mapping[str, int]) -> str | None:
        """In words, what a virtual cluster must wait for because others own it; None when nothing."""
        lacking = []
        for template, asked in sorted(wanted.items()):
            usable = sum(n.template == template and n.owner in (None, owner) for n in self.nodes)
            if asked > usable:
                lacking.append(f"{usable} of {nodes_of(asked, template)} {verb(usable, 'is')} free")
        return "; ".join(lacking) + "; it waits for the others" if lacking else None


def nodes_of(number: int, template: str) -> str:
    """So many nodes of a template, in words."""
    return f"{count(number, 'node')} of template {template!r}"


def none_asked_problem(inventory: NodeInventory | None) -> FieldProblem:
    """A dedicated virtual cluster without nodes, which no worker could ever start.

    `inventory` is None when this process may not list nodes; the words then name no templates.
    """
    there_are = f"; there are: {_in_words(inventory.counts())}" if inventory else ""
    return FieldProblem(
        "/spec/replicaSets",
        "names no nodes, and a dedicated virtual cluster runs on nodes of its own; ask for at least "
        f"one by its template{there_are}",
        "at least 1",
    )


def _in_words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{template} ({number})" for template, number in counts.items()) or "none"


async def read_extended_resources(cluster: Cluster) -> frozenset[str] | None:
    """Extended resources that some node of the host has, such as nvidia.com/gpu.

    None when this process may not list nodes.
    """
    try:
        found = await cluster.items(kinds.NODE)
    except ForbiddenError:
        return None
    told = ((node.get("status") or {}).get("capacity") or {} for node in found)
    return frozenset(name for amounts in told for name in amounts if "/" in name)


async def read_inventory(cluster: Cluster, node_label: str) -> NodeInventory | None:
    """The nodes of the host, or None when this process may not list them."""
    try:
        found = await cluster.items(kinds.NODE)
    except ForbiddenError:
        return None
    nodes = [_node(item, node_label) for item in found]
    return NodeInventory(tuple(n for n in nodes if n.template))


def _node(item: Object, node_label: str) -> HostNode:
    meta = item["metadata"]
    labels = meta.get("labels") or {}
    return HostNode(
        meta["name"], labels.get(node_label, ""), labels.get(LABEL_VIRTUAL_CLUSTER),
        size=size_of(item), kept_out=labels.get(LABEL_SHARED_NODE) == "false",
    )  # fmt: skip
