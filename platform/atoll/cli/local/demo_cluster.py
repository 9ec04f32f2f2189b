"""The demonstration's team and virtual cluster, sized to the host."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from atoll.cli.exits import UsageError
from atoll.cli.local import nodes as host_nodes
from atoll.cli.local.host import Host
from atoll.cli.local.nodes import GIB, Node
from atoll.cli.local.steps import Steps
from atoll.cli.ray_clusters import wait_ready
from atoll.cli.session import Session
from atoll.cli.waiting import Waiter
from atoll.client import Atoll
from atoll.contract.ray import RayClusterRead
from atoll.contract.teams import TeamCreate
from atoll.contract.virtual_clusters import VirtualClusterCreate, VirtualClusterRead
from atoll.errors import ConflictError, NotFoundError
from atoll.resources.teams import QuotaLine, TeamSpec
from atoll.resources.virtual_clusters import RayClusterSpec, VirtualClusterSpec

NAME = "demo"
WORKERS = 2
_SYSTEM_CPU, _SYSTEM_MEMORY = Decimal("0.7"), Decimal("1.5") * GIB
"""What the control plane, Redis, operator and scheduler of a virtual cluster ask for."""


@dataclass(frozen=True)
class Size:
    """How large the demonstration's Ray cluster is: quantities of the head and of each worker."""

    head_cpu: str
    head_memory: str
    worker_cpu: str
    worker_memory: str
    cpu: Decimal
    memory: Decimal


SIZES = (
    Size("500m", "2Gi", "1", "2Gi", Decimal("2.5"), 6 * GIB),
    Size("250m", "2Gi", "250m", "1Gi", Decimal("0.75"), 4 * GIB),
)


@dataclass(frozen=True)
class Plan:
    """Which nodes the demonstration takes, and how large it is there."""

    template: str
    count: int
    size: Size


def plan(nodes: Iterable[Node]) -> Plan:
    """The fewest nodes of the smallest template that fit. UsageError when nothing fits."""
    free: dict[str, list[Node]] = {}
    for node in nodes:
        if node.template and node.owner in (None, NAME):
            free.setdefault(node.template, []).append(node)
    ordered = sorted(free.items(), key=lambda item: (item[1][0].cpu, item[1][0].memory, item[0]))
    for size in SIZES:
        for template, same in ordered:
            count = _fitting(same, size)
            if count:
                return Plan(template, count, size)
    there = ", ".join(f"{len(same)} x {name}" for name, same in ordered) or "none with a template"
    raise UsageError(
        f"No free nodes of one template hold the demonstration (there are: {there}). "
        "Use larger --nodes, such as 4c8g=2, or --no-demo."
    )


def ensure_team(client: Atoll, nodes: Iterable[Node]) -> bool:
    """The team `demo` with a quota as large as the host; whether it was made now."""
    there = [node for node in nodes if node.template]
    cpu = int(sum((node.cpu for node in there), Decimal(0)))
    memory = int(sum((node.memory for node in there), Decimal(0)) / GIB)
    quota = {"cpu": QuotaLine(limit=str(cpu)), "memory": QuotaLine(limit=f"{memory}Gi")}
    spec = TeamSpec(display_name="Demonstration", quota=quota)
    try:
        client.teams.create(TeamCreate(name=NAME, spec=spec))
    except ConflictError:
        return False
    return True


def ensure_virtual_cluster(
    session: Session, host: Host, steps: Steps, timeout: float
) -> VirtualClusterRead:
    """The virtual cluster `demo`, Ready: made now, or found. Prints each step as it happens."""
    nodes = asyncio.run(host_nodes.read(host.kubeconfig))
    with steps.step("Team demo") as note:
        note("new" if ensure_team(session.client, nodes) else "as it was")
    found = _find(session, timeout)
    if found is None:
        chosen = plan(nodes)
        session.say(f"  Virtual cluster demo on {chosen.count} x {chosen.template}, dedicated:")
        new = VirtualClusterCreate(name=NAME, spec=_spec(chosen, nodes))
        found = session.client.virtual_clusters.create(new)
    with steps.step("Virtual cluster demo"):
        return Waiter(session, timeout).ready(found)


def ensure_ray_cluster(session: Session, steps: Steps, timeout: float) -> RayClusterRead:
    """The Ray cluster of the virtual cluster's spec, with its workers there."""
    with steps.step("Ray cluster demo") as note:
        ready = wait_ready(session, NAME, NAME, timeout)
        note(f"{ready.ready_workers} workers, Ray {ready.ray_version}")
    return ready


def _find(session: Session, timeout: float) -> VirtualClusterRead | None:
    try:
        found = session.client.virtual_clusters.get(NAME)
    except NotFoundError:
        return None
    if found.deleting_since:
        Waiter(session, timeout).gone(found)
        return None
    return found


def _fitting(nodes: list[Node], size: Size) -> int:
    """How many of these nodes hold the demonstration; 0 when all together do not."""
    # The head needs a node of its own size; the rest may be spread.
    for count in range(1, len(nodes) + 1):
        chosen = nodes[:count]
        cpu = sum((n.cpu for n in chosen), Decimal(0))
        memory = sum((n.memory for n in chosen), Decimal(0))
        if cpu >= size.cpu + _SYSTEM_CPU and memory >= size.memory + _SYSTEM_MEMORY:
            return count
    return 0


def _spec(chosen: Plan, nodes: Iterable[Node]) -> VirtualClusterSpec:
    same = [node for node in nodes if node.template == chosen.template][: chosen.count]
    cpu = sum((node.cpu for node in same), Decimal(0))
    memory = int(sum((node.memory for node in same), Decimal(0)) / GIB)
    size = chosen.size
    ray = RayClusterSpec(
        name=NAME, workers=WORKERS, head_cpu=size.head_cpu, head_memory=size.head_memory,
        worker_cpu=size.worker_cpu, worker_memory=size.worker_memory,
    )  # fmt: skip
    return VirtualClusterSpec(
        team=NAME,
        replica_sets={chosen.template: chosen.count},
        quota={"cpu": str(int(cpu)), "memory": f"{memory}Gi"},
        ray_clusters=[ray],
    )
