"""What is used, what is free, what is over: arithmetic on amounts by resource."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from atoll.domain.quantities import add_quantities, format_quantity, is_binary, parse_quantity
from atoll.domain.quotas import Amounts

_OVER = ("Succeeded", "Failed")


def free_of(limits: Amounts, taken: Amounts) -> dict[str, str]:
    """Limit - taken, never below 0, for what is limited."""
    return {
        r: _text(r, max(parse_quantity(limit) - parse_quantity(taken.get(r, "0")), Decimal(0)))
        for r, limit in sorted(limits.items())
    }


def over(limits: Amounts, taken: Amounts) -> dict[str, str]:
    """Taken - limit where that is above 0."""
    found = {}
    for resource, limit in sorted(limits.items()):
        extra = parse_quantity(taken.get(resource, "0")) - parse_quantity(limit)
        if extra > 0:
            found[resource] = _text(resource, extra)
    return found


def requests_of(pods: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """What pods hold of a quota, as Kubernetes counts it: requests of containers together (init
    containers at most), the overhead, and one pod each. Pods that have ended hold nothing.
    """
    total = {"cpu": "0", "memory": "0", "pods": "0"}
    for pod in pods:
        if (pod.get("status") or {}).get("phase") not in _OVER:
            total = add_quantities(total, demand_of(pod["spec"]), {"pods": "1"})
    return total


def demand_of(spec: Mapping[str, Any]) -> dict[str, str]:
    """What the spec of a pod asks for of its node.

    https://kubernetes.io/docs/concepts/workloads/pods/init-containers/#resource-sharing-within-containers

    An init container that restarts always runs beside the others and beside the later init containers.
    """
    beside: dict[str, str] = {}
    most: dict[str, str] = {}
    for container in spec.get("initContainers") or []:
        asked = _requests(container)
        if container.get("restartPolicy") == "Always":
            beside = add_quantities(beside, asked)
            asked = {}
        most = _larger(most, add_quantities(beside, asked))
    running = add_quantities(beside, *(_requests(c) for c in spec.get("containers") or []))
    return add_quantities(_larger(most, running), spec.get("overhead") or {})


def _requests(container: Mapping[str, Any]) -> dict[str, str]:
    resources = container.get("resources") or {}
    asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return {resource: str(amount) for resource, amount in asked.items()}


def _larger(one: Amounts, other: Amounts) -> dict[str, str]:
    return {r: max(one.get(r, "0"), other.get(r, "0"), key=parse_quantity) for r in {*one, *other}}


def _text(resource: str, value: Decimal) -> str:
    return format_quantity(value, binary=is_binary(resource))
