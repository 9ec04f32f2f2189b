"""Teams below teams: whose limits count, and what is kept for whom.

A team's reservations count at the team itself and at every ancestor. A resource that a team does not
name is limited by the nearest ancestor that names it, or by nobody. What a child is guaranteed and does
not hold yet, no other child of the same parent can reserve. What makes a tree valid: `quota_rules`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from atoll.domain.quantities import parse_quantity
from atoll.domain.quotas import Amounts
from atoll.errors import ConflictError

DEPTH_LIMIT = 5
"""Most levels of a tree, the root counted."""

_ZERO = Decimal(0)


class BrokenTreeError(ConflictError):
    """A team's ancestors cannot be followed to a root: one is missing, or they go in a circle."""

    code, title, who = "team_tree_broken", "The team's ancestors make no tree", "admin"


@dataclass(frozen=True)
class Room:
    """What can still be reserved of one resource, and the team whose limit makes it so."""

    free: Decimal
    bound_by: str


@dataclass(frozen=True)
class Share:
    """One team as the tree sees it. Amounts are canonical quantities by resource."""

    name: str
    parent: str | None = None
    limits: Amounts = field(default_factory=dict)
    guaranteed: Amounts = field(default_factory=dict)
    reserved: Amounts = field(default_factory=dict)
    """What it and everything below it hold."""

    def limit(self, resource: str) -> Decimal | None:
        """Its own limit; None when it names none."""
        return parse_quantity(self.limits[resource]) if resource in self.limits else None

    def promised(self, resource: str) -> Decimal | None:
        """The most it can promise to its children: its guarantee, else its limit, else not its to say."""
        text = self.guaranteed.get(resource, self.limits.get(resource))
        return None if text is None else parse_quantity(text)


class QuotaTree:
    """All teams with their parents. Immutable; built anew from what was read."""

    def __init__(self, shares: Iterable[Share]) -> None:
        self._shares = {share.name: share for share in shares}
        self._children: dict[str, list[Share]] = {}
        self._unused: dict[tuple[str, str], Decimal] = {}
        for share in sorted(self._shares.values(), key=lambda s: s.name):
            if share.parent is not None:
                self._children.setdefault(share.parent, []).append(share)

    def find(self, name: str) -> Share | None:
        """The team of that name."""
        return self._shares.get(name)

    def with_share(self, share: Share) -> "QuotaTree":
        """The tree as it would be with this team in it."""
        return QuotaTree([*(s for s in self._shares.values() if s.name != share.name), share])

    def children(self, name: str) -> tuple[Share, ...]:
        """The teams whose parent it is, by name."""
        return tuple(self._children.get(name, ()))

    def chain(self, name: str) -> tuple[Share, ...]:
        """The team and its ancestors, root last. BrokenTreeError; KeyError when there is no such team."""
        found = [self._shares[name]]
        while (parent := found[-1].parent) is not None:
            if parent not in self._shares:
                raise BrokenTreeError(
                    f"Team {found[-1].name!r} names the parent {parent!r}, and there is no such team; "
                    "an admin can make it, or name another parent"
                )
            found.append(self._shares[parent])
            if len(found) > DEPTH_LIMIT:
                raise BrokenTreeError(too_deep([s.name for s in found]))
        return tuple(found)

    def reachable(self, name: str) -> tuple[Share, ...]:
        """The team and its ancestors as far as they can be followed; empty when there is none."""
        found: dict[str, Share] = {}
        at: str | None = name
        while at is not None and at in self._shares and at not in found:
            found[at] = self._shares[at]
            at = self._shares[at].parent
        return tuple(found.values())

    def chain_names(self, name: str) -> frozenset[str]:
        """The names of those that are reachable."""
        return frozenset(share.name for share in self.reachable(name))

    def height(self, name: str) -> int:
        """How many levels there are below it; only for a team whose chain can be followed."""
        return max((1 + self.height(c.name) for c in self.children(name)), default=0)

    def below(self, name: str) -> tuple[Share, ...]:
        """Every team below it, whatever the number of levels between; safe on a circle."""
        found: dict[str, Share] = {}
        waiting = list(self.children(name))
        while waiting:
            share = waiting.pop()
            if share.name not in found and share.name != name:
                found[share.name] = share
                waiting += self.children(share.name)
        return tuple(sorted(found.values(), key=lambda s: s.name))

    def needed(self, name: str, resource: str) -> Decimal:
        """What a team must be able to count on: its guarantee, else those of its children together."""
        share = self._shares[name]
        if resource in share.guaranteed:
            return parse_quantity(share.guaranteed[resource])
        return self.needed_below(name, resource)

    def needed_below(self, name: str, resource: str) -> Decimal:
        """What the children of a team are guaranteed together."""
        return sum((self.needed(c.name, resource) for c in self.children(name)), _ZERO)

    def unused(self, name: str, resource: str) -> Decimal:
        """How much a team and those below it may still take on the strength of their guarantees."""
        if (name, resource) not in self._unused:
            share = self._shares[name]
            below = sum((self.unused(c.name, resource) for c in self.children(name)), _ZERO)
            named = parse_quantity(share.guaranteed.get(resource, "0"))
            left = named - parse_quantity(share.reserved.get(resource, "0"))
            self._unused[name, resource] = max(left, below)
        return self._unused[name, resource]

    def kept(self, at: str, way: Sequence[str]) -> dict[str, Decimal]:
        """What of `at`'s limits is kept from an asker: guaranteed to others below, not yet held.

        `way` leads from a child of `at` down to the team that asks; empty when it is `at` itself.
        """
        found: dict[str, Decimal] = {}
        for resource in self._shares[at].limits:
            total = sum(
                (
                    self.unused(c.name, resource)
                    for above, via in zip((at, *way), (*way, None), strict=True)
                    for c in self.children(above)
                    if c.name != via
                ),
                _ZERO,
            )
            if total:
                found[resource] = total
        return found

    def room(self, name: str) -> dict[str, Room]:
        """What a team can still reserve of each resource that it or an ancestor limits: the least that is
        left on the way to the root, less what is kept there for others. Never below 0.
        """
        chain = self.reachable(name)
        sound = bool(chain) and chain[-1].parent is None
        found: dict[str, Room] = {}
        for at, share in enumerate(chain):
            way = [s.name for s in chain[:at]][::-1]
            kept = self.kept(share.name, way) if sound else {}
            for resource, limit in share.limits.items():
                held = parse_quantity(share.reserved.get(resource, "0"))
                left = parse_quantity(limit) - held - kept.get(resource, _ZERO)
                here = Room(max(left, _ZERO), share.name)
                if resource not in found or here.free < found[resource].free:
                    found[resource] = here
        return found


def too_deep(names: list[str]) -> str:
    """Why ancestors cannot be followed: they go in a circle, or on and on."""
    again = next((at for at, name in enumerate(names) if name in names[:at]), None)
    way = " → ".join(names if again is None else names[: again + 1])
    if again is not None:
        return f"The parents of team {names[0]!r} go in a circle: {way}; an admin must cut it"
    return (
        f"The parents of team {names[0]!r} go beyond {DEPTH_LIMIT} levels: {way}; hang it higher up"
    )


def effective_limits(chain: Iterable[Share]) -> dict[str, str]:
    """The smallest limit of each resource along a chain: what a virtual cluster must name."""
    found: dict[str, str] = {}
    for share in chain:
        for resource, text in share.limits.items():
            known = found.get(resource)
            if known is None or parse_quantity(text) < parse_quantity(known):
                found[resource] = text
    return found


def readable(amounts: Mapping[str, object], otherwise: str | None) -> dict[str, str]:
    """Amounts that somebody stored past the API; what is no quantity becomes `otherwise` or is left out.

    An unreadable limit is taken as 0, so that nothing more fits until it is mended.
    """
    found = {}
    for resource, value in amounts.items():
        try:
            parse_quantity(str(value))
            found[resource] = str(value)
        except ValueError:
            if otherwise is not None:
                found[resource] = otherwise
    return found
