"""What the layers of a quota say, told in words: which one lags, in what, wanted and found."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from atoll.cluster.client import Object
from atoll.cluster.quota_trees import limits_of
from atoll.domain.gangs import queue_spec
from atoll.domain.names import host_queue, queue_name
from atoll.domain.queue_shares import differences, queue_amounts
from atoll_worker.reconcile.schedulers import adapter_of
from atoll_worker.reconcile.scope import Scope

Parts = Mapping[str, Mapping[str, str]]
"""What a queue says: part of a share (capability, deserved, guarantee) -> resource -> amount."""


@dataclass(frozen=True)
class Layer:
    """One place that knows the quota: its name for people, what it must say and what it says."""

    name: str
    wanted: Mapping[str, str]
    found: Mapping[str, str]


def inside_layers(scope: Scope, queue: Object | None) -> list[Layer]:
    """The team's queue inside, as it was found; None: there is none."""
    name, adapter = queue_name(scope.vc.spec.team), adapter_of(scope.versions)
    wanted = adapter.queue_spec(name, scope.queue_share, {})
    return queue_layers(f"the queue {name} inside", adapter.amounts(wanted), adapter.amounts(queue))


def host_layers(scope: Scope, queue: Object | None) -> list[Layer]:
    """The virtual cluster's queue on the host (shared mode), as it was found; None: there is none."""
    wanted = queue_amounts({"spec": host_queue_spec(scope)})
    title = f"the host's queue {host_queue(scope.vc.name)}"
    return queue_layers(title, wanted, queue_amounts(queue))


def queue_layers(name: str, wanted: Parts, found: Parts) -> list[Layer]:
    """A queue by its parts; one that neither is wanted nor found is left out."""
    parts = [
        part for part in dict.fromkeys([*wanted, *found]) if wanted.get(part) or found.get(part)
    ]
    return [Layer(f"{name}, {part}", wanted.get(part, {}), found.get(part, {})) for part in parts]


def lags(layers: Iterable[Layer]) -> str:
    """Every difference with both numbers; empty when all say what they must."""
    return "; ".join(
        f"{layer.name}: {resource} {wanted} wanted, {found} found"
        for layer in layers
        for resource, (wanted, found) in differences(layer.wanted, layer.found).items()
    )


def host_queue_spec(scope: Scope) -> Object:
    """What the virtual cluster's queue on the host must say (shared mode)."""
    lines = scope.team.spec.quota if scope.team else {}
    guaranteed = {n: line.guaranteed for n, line in lines.items() if line.guaranteed is not None}
    limits = limits_of(scope.team.manifest()) if scope.team else {}
    return queue_spec(scope.vc.spec.quota, limits, guaranteed)
