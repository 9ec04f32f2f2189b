"""Ray clusters against the sizes of nodes: a pod that no node can hold is refused, with the way out."""

from collections.abc import Sequence

from atoll.domain.node_sizes import Misfit, may_run_on, misfit
from atoll.domain.nodes import HostNode
from atoll.domain.quantities import parse_quantity
from atoll.domain.ray_clusters import GPU, RayClusterShape, pods_of
from atoll.errors import FieldProblem
from atoll.resources.faults import pointer
from atoll.resources.virtual_clusters import VirtualClusterSpec

_FIELDS = {"cpu": "Cpu", "memory": "Memory", GPU: "Gpus"}


def newly_named(spec: VirtualClusterSpec, before: VirtualClusterSpec | None) -> list[str]:
    """Resources that the quota gives an amount of and did not name before; what is there may stay."""
    had = before.quota if before else {}
    return [name for name, text in spec.quota.items() if name not in had and parse_quantity(text)]


def ray_size_problems(
    name: str,
    spec: VirtualClusterSpec,
    before: VirtualClusterSpec | None,
    nodes: Sequence[HostNode],
) -> list[FieldProblem]:
    """Ray clusters of the spec with a pod that no node it may run on can hold.

    Those that the spec had already are let through while its nodes stay the same: a change of something
    else must not fail for them.
    """
    kept = before.ray_clusters if before and before.replica_sets == spec.replica_sets else []
    found = []
    for index, cluster in enumerate(spec.ray_clusters):
        if cluster not in kept:
            where = pointer("spec", "rayClusters", index)
            found += size_problems(name, spec, cluster, nodes, where)
    return found


def size_problems(
    name: str,
    spec: VirtualClusterSpec,
    cluster: RayClusterShape,
    nodes: Sequence[HostNode],
    where: str = "",
) -> list[FieldProblem]:
    """The same for one Ray cluster of the virtual cluster `name`, at the pointer `where`."""
    usable = may_run_on(nodes, name, spec.mode, spec.replica_sets)
    return [
        FieldProblem(
            where + pointer(kind + _FIELDS[problem.resource]),
            f"{'the head' if kind == 'head' else 'each worker'} {problem.text}; it would wait for ever. "
            f"{way_out(spec, problem, nodes)}",
            problem.largest,
        )
        for kind, asked in pods_of(cluster).items()
        if (problem := misfit(asked, usable))
    ]


def way_out(spec: VirtualClusterSpec, problem: Misfit, nodes: Sequence[HostNode]) -> str:
    """What a person can do about it."""
    if spec.mode == "shared":
        return "Ask for less, or an admin can add a larger node to those that are shared"
    larger = sorted(
        {
            node.template
            for node in nodes
            if parse_quantity(node.size.get(problem.resource, "0")) >= parse_quantity(problem.asked)
        }
    )
    if larger:
        return f"Ask for less, or in spec.replicaSets for nodes of {' or '.join(larger)}"
    return "Ask for less; no node of the host is larger, an admin can add one"
