"""Whether a pod fits any one node: what no node can hold waits for ever, whatever the quota says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from atoll.domain.nodes import HostNode
from atoll.domain.quantities import parse_quantity
from atoll.domain.quotas import Amounts, amount_text


@dataclass(frozen=True)
class Misfit:
    """A resource of which a pod asks for more than any node has. Amounts are canonical quantities.

    `together`: each resource alone fits some node, and no node has all of them at once; `resource` is then
    the one that the roomiest node lacks.
    """

    resource: str
    asked: str
    largest: str
    node: str
    template: str
    together: bool = False

    @property
    def text(self) -> str:
        """In words, for a sentence that begins with the pod."""
        where = f"{self.node}, template {self.template!r}"
        if self.largest == "0":
            return f"asks for {self.asked} of {self.resource}, and no node it may run on has any"
        if self.together:
            return (
                f"asks for more than any one node has: the roomiest it may run on has {self.largest} of "
                f"{self.resource} ({where}), and {self.asked} is asked"
            )
        return (
            f"asks for {self.asked} of {self.resource}, and the largest node it may run on has "
            f"{self.largest} ({where})"
        )


def misfit(asked: Amounts, nodes: Sequence[HostNode]) -> Misfit | None:
    """Why no node can hold a pod that asks for this; None when one can, or nothing is known of one.

    Nodes are judged by what they can allocate when empty, so None is no promise of room.
    """
    if not nodes or any(not node.size for node in nodes):
        return None
    wanted = {name: amount for name, text in asked.items() if (amount := parse_quantity(text))}
    for resource, amount in wanted.items():
        largest = max(nodes, key=lambda node: (_has(node, resource), node.name))
        if amount > _has(largest, resource):
            return _misfit(resource, amount, largest)
    lacks = [_lacks(wanted, node) for node in nodes]
    if all(lacks):
        node = min(nodes, key=lambda n: (len(_lacks(wanted, n)), n.name))
        resource = _lacks(wanted, node)[0]
        return _misfit(resource, wanted[resource], node, together=True)
    return None


def _misfit(resource: str, amount: Decimal, node: HostNode, *, together: bool = False) -> Misfit:
    asked, has = amount_text(resource, amount), amount_text(resource, _has(node, resource))
    return Misfit(resource, asked, has, node.name, node.template, together)


def _lacks(wanted: Mapping[str, Decimal], node: HostNode) -> list[str]:
    return [resource for resource, amount in wanted.items() if amount > _has(node, resource)]


def _has(node: HostNode, resource: str) -> Decimal:
    return parse_quantity(node.size.get(resource, "0"))


def size_of(item: Mapping[str, Any]) -> dict[str, str]:
    """What a Node can allocate to pods; empty while its kubelet has not said."""
    status = item.get("status") or {}
    told = status.get("allocatable") or status.get("capacity") or {}
    return {name: str(amount) for name, amount in told.items()}


def may_run_on(
    nodes: Sequence[HostNode], owner: str, mode: str, replica_sets: Mapping[str, int]
) -> list[HostNode]:
    """The nodes that pods of a virtual cluster can ever be placed on.

    Dedicated: those of the templates it asks for, whoever has them now, as any of them may become its
    own. Shared: those that nobody owns and no admin keeps out.
    """
    if mode == "shared":
        return [node for node in nodes if node.owner is None and not node.kept_out]
    return [node for node in nodes if replica_sets.get(node.template)]
