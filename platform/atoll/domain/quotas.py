"""Quota arithmetic: what a team's virtual clusters hold, and whether more of it fits.

A ledger maps a key to amounts by resource. The key is the name of a virtual cluster, or
`<name>/<unix seconds>-<random>` for a change that is still being written. All entries of one virtual
cluster together count as their maximum, resource by resource, so a change under way never counts
twice and never too little.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from atoll.domain.quantities import format_quantity, is_binary, parse_quantity

Amounts = Mapping[str, str]
Ledger = Mapping[str, Amounts]

COUNTED = "virtualclusters"
"""The resource that every virtual cluster holds one of, whether it names it or not."""

KNOWN = frozenset(
    {"cpu", "memory", "storage", "pods", "services", "ephemeral-storage", "rayclusters", COUNTED}
)
"""Resources without a domain. Anything else must be an extended resource, such as nvidia.com/gpu."""


@dataclass(frozen=True)
class Shortage:
    """One resource of which more is asked than is free. Amounts are canonical quantities."""

    resource: str
    asked: str
    free: str
    limit: str
    held: dict[str, str]
    """Who holds it: virtual cluster -> amount, without the one that asks. Empty at an ancestor, whose
    other holders may be none of the asker's business."""
    team: str = ""
    """The ancestor whose limit it is; empty when it is the team's own."""
    kept: str = "0"
    """How much of what nobody holds is guaranteed to others."""


def owner_of(key: str) -> str:
    """The virtual cluster that a ledger key belongs to."""
    return key.partition("/")[0]


def pending_since(key: str) -> int | None:
    """The unix second when a change under way was noted; None for a settled entry."""
    _, slash, rest = key.partition("/")
    moment = rest.partition("-")[0]
    return int(moment) if slash and moment.isdigit() else None


def demand(quota: Amounts) -> dict[str, str]:
    """What a virtual cluster takes from its team's quota: what its spec says, and itself."""
    return {**quota, COUNTED: "1"}


def is_extended(name: str) -> bool:
    """Whether it is a device of nodes, such as nvidia.com/gpu, and no count of objects."""
    return "/" in name and not name.startswith(("count/", "requests.", "limits."))


def resource_problem(name: str) -> str | None:
    """Why this is no resource that a quota can name, or None when it is one."""
    if name in KNOWN or ("/" in name and all(name.split("/", 1))):
        return None
    known = ", ".join(sorted(KNOWN))
    return (
        f"{name!r} is not a resource; use one of {known}, or an extended one such as nvidia.com/gpu"
    )


def held_by_owner(ledger: Ledger) -> dict[str, dict[str, Decimal]]:
    """What each virtual cluster holds: the maximum of its entries, resource by resource."""
    held: dict[str, dict[str, Decimal]] = {}
    for key, amounts in ledger.items():
        mine = held.setdefault(owner_of(key), {})
        for resource, text in amounts.items():
            mine[resource] = max(mine.get(resource, Decimal(0)), parse_quantity(text))
    return held


def amount_text(resource: str, value: Decimal) -> str:
    """The canonical text of an amount of this resource."""
    return format_quantity(value, binary=is_binary(resource))


def reserved(ledger: Ledger) -> dict[str, str]:
    """The sum over all virtual clusters, by resource."""
    total: dict[str, Decimal] = {}
    for amounts in held_by_owner(ledger).values():
        for resource, value in amounts.items():
            total[resource] = total.get(resource, Decimal(0)) + value
    return {name: amount_text(name, value) for name, value in sorted(total.items())}


def shortages(
    limits: Amounts,
    ledger: Ledger,
    owner: str,
    wanted: Amounts,
    kept: Mapping[str, Decimal] | None = None,
) -> list[Shortage]:
    """The resources of which `owner` may not hold as much as `wanted`.

    A resource without a limit is free. What does not grow is never refused, so a virtual cluster can
    always shrink, also when the limit was lowered below what is held. `kept` is what others are
    guaranteed and do not hold yet, by resource.
    """
    held = held_by_owner(ledger)
    own = held.pop(owner, {})
    found = []
    for resource, text in sorted(wanted.items()):
        asked = parse_quantity(text)
        if resource not in limits or asked <= own.get(resource, Decimal(0)):
            continue
        others = {name: a[resource] for name, a in sorted(held.items()) if a.get(resource)}
        limit = parse_quantity(limits[resource])
        promised = (kept or {}).get(resource, Decimal(0))
        free = limit - sum(others.values(), Decimal(0)) - promised
        if asked > free:
            short = _shortage(resource, asked, max(free, Decimal(0)), limit, others)
            found.append(replace(short, kept=amount_text(resource, promised)))
    return found


def _shortage(
    resource: str, asked: Decimal, free: Decimal, limit: Decimal, others: Mapping[str, Decimal]
) -> Shortage:
    return Shortage(
        resource,
        amount_text(resource, asked),
        amount_text(resource, free),
        amount_text(resource, limit),
        {name: amount_text(resource, value) for name, value in others.items()},
    )


def missing_resources(limits: Amounts, quota: Amounts) -> list[str]:
    """Resources that the team's quota limits and the virtual cluster's does not name.

    Without an amount of its own a virtual cluster could take without end, so it must name each.
    """
    return sorted(set(limits) - set(quota) - {COUNTED})


def lacking_in_shared_mode(quota: Amounts) -> list[str]:
    """Resources that a shared virtual cluster must name an amount of above zero, and does not.

    It has no nodes of its own that would bound it, and to the gang scheduler zero is no bound.
    """
    return [name for name in ("cpu", "memory") if not parse_quantity(quota.get(name, "0"))]


def expired_keys(ledger: Ledger, now: float, patience: float) -> list[str]:
    """Changes that have been under way for longer than `patience` seconds: their writer is gone."""
    return [k for k in ledger if (since := pending_since(k)) is not None and now - since > patience]


def describe(found: Iterable[Shortage]) -> str:
    """Shortages in words, with the numbers."""
    return "; ".join(_words(s) for s in found)


def _words(short: Shortage) -> str:
    whose = f" in the parent team {short.team!r}" if short.team else ""
    notes = []
    if short.held:
        notes.append("held by " + ", ".join(f"{n} {a}" for n, a in short.held.items()))
    if short.kept != "0":
        notes.append(f"{short.kept} kept for guarantees of other teams")
    text = f"{short.resource}: {short.asked} asked, {short.free} free of {short.limit}{whose}"
    return text + (f" ({'; '.join(notes)})" if notes else "")
