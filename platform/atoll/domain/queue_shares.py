"""A virtual cluster's quota as a share of a scheduler queue."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_FLOOR, Decimal
from typing import Any

from atoll.domain.quantities import format_quantity, is_binary, parse_quantity
from atoll.domain.quotas import Amounts

_SCHEDULED = frozenset({"cpu", "memory", "ephemeral-storage", "pods"})


@dataclass(frozen=True)
class QueueShare:
    """Amounts by resource. guarantee <= deserved <= capability, resource by resource.

    `capability` is the hard cap; `deserved` is what the queue may claim back from those who borrowed;
    `guarantee` is kept free for it even while it is idle.
    """

    capability: dict[str, str] = field(default_factory=dict)
    deserved: dict[str, str] = field(default_factory=dict)
    guarantee: dict[str, str] = field(default_factory=dict)


def is_scheduled(resource: str) -> bool:
    """Whether a scheduler hands it out pod by pod: not storage, services or counts of objects."""
    return resource in _SCHEDULED or ("/" in resource and not resource.startswith("count/"))


def queue_share(
    quota: Amounts, limits: Amounts | None = None, guaranteed: Amounts | None = None
) -> QueueShare:
    """The share of a virtual cluster with this quota, of a team with these limits and guarantees.

    capability = quota. guarantee = guaranteed x quota / limit, rounded down: each virtual cluster brings
    its part of the team's guarantee, so that the sum over all of them never passes it (their quotas never
    pass the limit) and none depends on the others. deserved = guarantee where the team has one, else
    the whole capability.
    """
    limits, guaranteed = limits or {}, guaranteed or {}
    capability = {r: amount for r, amount in quota.items() if is_scheduled(r)}
    guarantee = {
        r: _part(r, amount, limits[r], guaranteed[r])
        for r, amount in capability.items()
        if r in guaranteed and parse_quantity(limits.get(r, "0"))
    }
    return QueueShare(capability, {**capability, **guarantee}, guarantee)


def _part(resource: str, quota: str, limit: str, guaranteed: str) -> str:
    exact = parse_quantity(guaranteed) * parse_quantity(quota) / parse_quantity(limit)
    step = Decimal("0.001") if resource == "cpu" else Decimal(1)
    whole = min(exact, parse_quantity(quota)).quantize(step, rounding=ROUND_FLOOR)
    return format_quantity(whole, binary=is_binary(resource))


def differences(wanted: Mapping[str, str], found: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Resource -> (wanted, found) where two layers do not say the same; "none" for what is not named."""
    told = {}
    for resource in sorted({*wanted, *found}):
        left, right = wanted.get(resource), found.get(resource)
        if left is None or right is None or not _same(left, right):
            told[resource] = (left or "none", right or "none")
    return told


def _same(left: str, right: str) -> bool:
    """Whoever may write to a layer can make it say what is no quantity."""
    try:
        return parse_quantity(left) == parse_quantity(right)
    except ValueError:
        return False


def queue_amounts(queue: Mapping[str, Any] | None) -> dict[str, dict[str, str]]:
    """What a Volcano queue says: capability, deserved and guarantee, each resource -> amount."""
    spec = (queue or {}).get("spec") or {}
    parts = {part: spec.get(part) for part in ("capability", "deserved")}
    parts["guarantee"] = (spec.get("guarantee") or {}).get("resource")
    return {part: {r: str(a) for r, a in (told or {}).items()} for part, told in parts.items()}


def leftovers(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """What takes amounts that are not wanted any more off a Volcano queue: a merge patch of its spec,
    empty when there are none. A cap or a guarantee that stays binds as it did.
    """
    change: dict[str, Any] = {}
    for part in ("capability", "deserved"):
        if extra := (found.get(part) or {}).keys() - (wanted.get(part) or {}).keys():
            change[part] = dict.fromkeys(sorted(extra))
    held, kept = (((spec.get("guarantee") or {}).get("resource") or {}) for spec in (found, wanted))
    if extra := held.keys() - kept.keys():
        change["guarantee"] = {"resource": dict.fromkeys(sorted(extra))}
    return change
