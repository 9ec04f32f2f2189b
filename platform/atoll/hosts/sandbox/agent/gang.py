"""Gang arithmetic: what pods ask for, what nodes have left, whether a gang fits. Pure functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from atoll.hosts.sandbox.kube import Obj

Amounts = dict[str, int]  # by resource, in thousandths of its unit
_UNITS: dict[str, int | Decimal] = {
    "": 1, "m": Decimal("0.001"), "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15,
    "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50,
}  # fmt: skip
_QUANTITY = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)([a-zA-Z]*)")


def thousandths(quantity: str | float) -> int:
    """A Kubernetes quantity in thousandths, rounded up; ValueError when it is none."""
    match = _QUANTITY.fullmatch(str(quantity))
    if match is None or match[2] not in _UNITS:
        raise ValueError(f"{quantity!r} is not a quantity")
    exact = Decimal(match[1]) * _UNITS[match[2]] * 1000
    return int(exact.to_integral_value(rounding="ROUND_CEILING"))


def amounts(quantities: Mapping[str, str | float]) -> Amounts:
    """Quantities by resource name, in thousandths."""
    return {name: thousandths(value) for name, value in quantities.items()}


def added(*parts: Mapping[str, int]) -> Amounts:
    """The sum of amounts."""
    total: Amounts = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0) + value
    return total


def demand(pod: Obj) -> Amounts:
    """What a pod asks for: its containers together or its largest init container, and one pod."""
    spec = pod["spec"]
    running = added(*(_asked(container) for container in spec["containers"]))
    for initial in spec.get("initContainers") or []:
        for name, value in _asked(initial).items():
            running[name] = max(running.get(name, 0), value)
    return added(running, amounts(spec.get("overhead") or {}), {"pods": 1000})


def _asked(container: Obj) -> Amounts:
    resources = container.get("resources") or {}
    return amounts({**(resources.get("limits") or {}), **(resources.get("requests") or {})})


def fits(asked: Mapping[str, int], free: Mapping[str, int]) -> bool:
    """Whether every amount that is asked for is free."""
    return all(value <= free.get(name, 0) for name, value in asked.items() if value > 0)


def within(used: Mapping[str, int], asked: Mapping[str, int], cap: Mapping[str, int]) -> bool:
    """Whether a queue that uses so much may take more; only resources it caps count."""
    return all(used.get(name, 0) + asked.get(name, 0) <= limit for name, limit in cap.items())


@dataclass
class Room:
    """A node with what is left on it."""

    node: Obj
    free: Amounts


def place(pods: Iterable[Obj], rooms: Iterable[Room], least: int) -> dict[str, str] | None:
    """Pod name to node name for as many pods as fit; None when fewer than `least` do.

    The largest go first, each to the node that it fills most. What is free in `rooms` is changed
    when the gang fits and left alone when it does not.
    """
    before = list(rooms)
    trial = [Room(room.node, dict(room.free)) for room in before]
    chosen: dict[str, str] = {}
    for pod in sorted(pods, key=_weight, reverse=True):
        asked = demand(pod)
        fitting = [room for room in trial if fits(asked, room.free) and admits(room.node, pod)]
        if not fitting:
            continue
        best = min(fitting, key=_fullest)
        best.free = added(best.free, {name: -value for name, value in asked.items()})
        chosen[pod["metadata"]["name"]] = best.node["metadata"]["name"]
    if len(chosen) < least:
        return None
    for room, tried in zip(before, trial, strict=True):
        room.free = tried.free
    return chosen


def _fullest(room: Room) -> tuple[int, str]:
    return room.free.get("cpu", 0), room.node["metadata"]["name"]


def _weight(pod: Obj) -> tuple[int, int, str]:
    asked = demand(pod)
    return asked.get("cpu", 0), asked.get("memory", 0), pod["metadata"]["name"]


def admits(node: Obj, pod: Obj) -> bool:
    """Whether a node's labels and taints let a pod in."""
    spec, labels = pod["spec"], node["metadata"].get("labels") or {}
    if (node.get("spec") or {}).get("unschedulable"):
        return False
    if not (spec.get("nodeSelector") or {}).items() <= labels.items():
        return False
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    if affinity and not any(_meets(term, labels) for term in affinity["nodeSelectorTerms"]):
        return False
    taints = (node.get("spec") or {}).get("taints") or []
    hard = [taint for taint in taints if taint["effect"] != "PreferNoSchedule"]
    tolerations = spec.get("tolerations") or []
    return all(any(_tolerates(one, taint) for one in tolerations) for taint in hard)


def _meets(term: Obj, labels: Mapping[str, str]) -> bool:
    return all(_matches(rule, labels) for rule in term.get("matchExpressions") or [])


def _matches(rule: Obj, labels: Mapping[str, str]) -> bool:
    value, values = labels.get(rule["key"]), rule.get("values") or []
    match rule["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    return False


def _tolerates(toleration: Obj, taint: Obj) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    same = toleration.get("key") == taint["key"]
    return bool(same and toleration.get("value", "") == taint.get("value", ""))
