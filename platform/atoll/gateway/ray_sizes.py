"""Ray clusters that wait for a node that does not exist: said in their state, whoever made them."""

from collections.abc import Sequence
from typing import Any

from atoll.application.node_fit import size_problems, way_out
from atoll.application.nodes import read_inventory
from atoll.application.validation import refuse_if_any
from atoll.contract.ray import RayClusterRead
from atoll.domain.node_sizes import may_run_on, misfit
from atoll.domain.nodes import HostNode
from atoll.domain.ray_clusters import RayClusterShape
from atoll.domain.usage import demand_of
from atoll.gateway.callers import AskedVirtualCluster
from atoll.gateway.parts import Parts

Object = dict[str, Any]


async def refuse_larger_than_any_node(
    parts: Parts, asked: AskedVirtualCluster, wanted: RayClusterShape
) -> None:
    """Raise InvalidError that names each field of which no node it may run on has as much."""
    refuse_if_any(
        size_problems(asked.name, asked.cluster.spec, wanted, await _nodes(parts), where="")
    )


async def with_sizes(
    parts: Parts, asked: AskedVirtualCluster, reads: Sequence[RayClusterRead], found: list[Object]
) -> list[RayClusterRead]:
    """The same Ray clusters; those that wait for a node that there is not say so.

    `found` are their resources, in the same order. The host's nodes are read only when one waits.
    """
    if not any(read.state == "pending" for read in reads):
        return list(reads)
    nodes = await _nodes(parts)
    told = []
    for read, item in zip(reads, found, strict=True):
        words = _too_large(asked, item, nodes) if read.state == "pending" else ""
        message = "; ".join(part for part in (words, read.message) if part)
        told.append(read.model_copy(update={"message": message}))
    return told


async def _nodes(parts: Parts) -> Sequence[HostNode]:
    inventory = await read_inventory(parts.host, parts.settings.node_label)
    return inventory.nodes if inventory else ()


def _too_large(asked: AskedVirtualCluster, item: Object, nodes: Sequence[HostNode]) -> str:
    spec = asked.cluster.spec
    usable = may_run_on(nodes, asked.name, spec.mode, spec.replica_sets)
    for who, template in _templates(item.get("spec") or {}):
        if problem := misfit(demand_of(template.get("spec") or {}), usable):
            return f"{who} {problem.text}. {way_out(spec, problem, nodes)}"
    return ""


def _templates(spec: Object) -> list[tuple[str, Object]]:
    """Each kind of pod that it asks for, with words for it."""
    head = (spec.get("headGroupSpec") or {}).get("template") or {}
    groups = spec.get("workerGroupSpecs") or []
    return [
        ("The head", head),
        *(
            (f"Each worker of group {group.get('groupName')!r}", group.get("template") or {})
            for group in groups
            if group.get("replicas") or group.get("minReplicas")
        ),
    ]
