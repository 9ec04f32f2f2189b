"""What another quota of one virtual cluster would do to what is in it. Pure.

As with a team's quota, a lower one takes nothing away: what runs stays, and nothing grows until it fits.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from atoll.domain.quantities import parse_quantity
from atoll.domain.quotas import COUNTED, Amounts, amount_text
from atoll.domain.ray_clusters import RayClusterShape, amounts_needed

_ZERO = Decimal(0)


@dataclass(frozen=True)
class QuotaLine:
    """One resource before and after. Amounts are canonical quantities; None means not named."""

    resource: str
    before: str | None
    after: str | None
    used: str
    over: str
    """How much more is used than the new amount; "0" when it fits."""


@dataclass(frozen=True)
class Fit:
    """A Ray cluster of the spec and what it takes."""

    name: str
    demand: dict[str, str]


def lines(before: Amounts, after: Amounts, used: Amounts) -> list[QuotaLine]:
    """Every resource that either quota names."""
    return [
        QuotaLine(
            name, before.get(name), after.get(name), used.get(name, "0"),
            _over(name, used.get(name, "0"), after.get(name)),
        )
        for name in sorted({*before, *after} - {COUNTED})
    ]  # fmt: skip


def _over(resource: str, used: str, limit: str | None) -> str:
    if limit is None:
        return "0"
    return amount_text(resource, max(_ZERO, parse_quantity(used) - parse_quantity(limit)))


def no_longer_fit(after: Amounts, ray_clusters: Iterable[RayClusterShape]) -> list[Fit]:
    """The Ray clusters of the spec, filled in again in their order: those that find no room."""
    room = {name: parse_quantity(text) for name, text in after.items()}
    out = []
    for cluster in ray_clusters:
        needed = amounts_needed([cluster])
        if any(amount > room.get(name, amount) for name, amount in needed.items()):
            out.append(Fit(cluster.name, {n: amount_text(n, a) for n, a in needed.items()}))
            continue
        for name, amount in needed.items():
            if name in room:
                room[name] -= amount
    return out
