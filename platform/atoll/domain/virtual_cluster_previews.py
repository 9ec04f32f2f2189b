"""What another quota of one virtual cluster would do to what is in it. Pure.

As with a team's quota, a lower one takes nothing away: what runs stays, and nothing grows until it fits.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from atoll.domain.lowering import Line, fingerprint, is_worse
from atoll.domain.quantities import parse_quantity
from atoll.domain.quotas import COUNTED, Amounts, amount_text
from atoll.domain.ray_clusters import RayClusterShape, amounts_needed


@dataclass(frozen=True)
class Fit:
    """A Ray cluster of the spec and what it takes."""

    name: str
    demand: dict[str, str]


@dataclass(frozen=True)
class Preview:
    """What would come of it."""

    lines: tuple[Line, ...]
    """Every resource that either quota names; taken is what is used."""
    no_longer_fit: tuple[Fit, ...]
    """The Ray clusters of the spec, filled in again in their order: those that find no room."""
    fingerprint: str
    """Names this outcome; whoever confirms it has seen it."""

    @property
    def needs_confirmation(self) -> bool:
        """Whether more would be over than is now."""
        return is_worse(self.lines)


def preview(
    uid: str, before: Amounts, after: Amounts, used: Amounts, ray_clusters: Iterable[RayClusterShape]
) -> Preview:  # fmt: skip
    """What the quota `after` in place of `before` would do to the virtual cluster `uid`, which uses so
    much, when its spec is to keep these Ray clusters.
    """
    lines = tuple(
        Line(name, before.get(name), after.get(name), used.get(name, "0"))
        for name in sorted({*before, *after} - {COUNTED})
    )
    return Preview(lines, _no_longer_fit(after, ray_clusters), _fingerprint(uid, lines))


def _no_longer_fit(after: Amounts, ray_clusters: Iterable[RayClusterShape]) -> tuple[Fit, ...]:
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
    return tuple(out)


def _fingerprint(uid: str, lines: Iterable[Line]) -> str:
    """Of what is over the names alone: what is used moves with every pod, and what is reserved of a team
    does not. By how much is bounded, for nothing grows past the quota of before. Ray clusters that find
    no room are refused and not confirmed.
    """
    told = {
        "virtual_cluster": uid,
        "lines": [[line.resource, line.limit_before, line.limit_after] for line in lines],
        "over": [line.resource for line in lines if line.over != "0"],
    }
    return fingerprint(told)
