"""What a change of a team's quota would do to whom. Pure: everything it needs was read before.

Lowering a limit takes nothing away from anybody: what runs stays, what is over must shrink by itself, and
nothing grows until it is below the limit again. So a preview says what would not be let in again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from atoll.domain.lowering import Line, fingerprint, is_worse
from atoll.domain.quantities import parse_quantity
from atoll.domain.quota_tree import QuotaTree, Share
from atoll.domain.quotas import Amounts, owner_of, pending_since, reserved, shortages

_ZERO = Decimal(0)


@dataclass(frozen=True)
class Holder:
    """A virtual cluster of the team or of one below it: what it takes, and since when it is there."""

    name: str
    team: str
    since: str
    """RFC 3339; who came first is kept first."""
    demand: Amounts
    ray_clusters: tuple[str, ...] = ()
    waiting: bool = False
    """It asked and was refused for lack of quota."""


@dataclass(frozen=True)
class LineChange(Line):
    """One resource of a team's quota before and after; taken is what is reserved."""

    guaranteed_before: str | None
    guaranteed_after: str | None


@dataclass(frozen=True)
class Preview:
    """What would come of it."""

    team: str
    lines: tuple[LineChange, ...]
    no_longer_fit: tuple[Holder, ...] = ()
    """Who holds what would not be let in again, the youngest first; they keep running."""
    would_be_admitted: tuple[Holder, ...] = ()
    """Who waits for quota and would get it, the oldest first."""
    fingerprint: str = field(default="")
    """Names this very outcome; whoever confirms it has seen it."""

    @property
    def needs_confirmation(self) -> bool:
        """Whether more would be over than is now."""
        return is_worse(self.lines)


def preview(
    before: QuotaTree, after: Share, ledgers: Mapping[str, Mapping[str, Amounts]],
    holders: Iterable[Holder], uid: str,
) -> Preview:  # fmt: skip
    """What the team's share `after` in place of the one in `before` would do.

    `ledgers` are those of every team of the tree; `holders` the virtual clusters of the team and of those
    below it; `uid` the team's.
    """
    old = before.find(after.name) or Share(after.name)
    held = reserved(ledgers.get(after.name, {}))
    names = sorted({*old.limits, *after.limits, *old.guaranteed, *after.guaranteed})
    lines = tuple(_line(name, old, after, held.get(name, "0")) for name in names)
    mine = sorted(holders, key=lambda h: (h.since, h.name))
    out = _no_longer_fit(after, ledgers.get(after.name, {}), mine)
    waiting = [h for h in mine if h.waiting]
    had = {h.name for h in _admitted(before, ledgers, waiting)}
    admitted = _admitted(before.with_share(after), ledgers, waiting)
    gained = tuple(h for h in admitted if h.name not in had)
    return Preview(after.name, lines, out, gained, _fingerprint(uid, after, lines, out))


def _line(resource: str, old: Share, new: Share, held: str) -> LineChange:
    return LineChange(
        resource,
        old.limits.get(resource),
        new.limits.get(resource),
        held,
        old.guaranteed.get(resource),
        new.guaranteed.get(resource),
    )


def _no_longer_fit(
    after: Share, ledger: Mapping[str, Amounts], holders: Sequence[Holder]
) -> tuple[Holder, ...]:
    """Filled up again, the oldest first: who would find no room any more."""
    settled = {owner_of(key): amounts for key, amounts in sorted(ledger.items(), reverse=True)}
    known = {h.name for h in holders}
    queue = [h for h in holders if h.name in settled]
    queue += [  # changes under way, of virtual clusters that are not written yet
        Holder(owner_of(key), after.name, "", amounts)
        for key, amounts in ledger.items()
        if pending_since(key) is not None and owner_of(key) not in known
    ]
    used: dict[str, Decimal] = {}
    out = []
    for holder in queue:
        amounts = {r: parse_quantity(t) for r, t in settled[holder.name].items()}
        fits = all(
            used.get(r, _ZERO) + amount <= (after.limit(r) or _ZERO)
            for r, amount in amounts.items()
            if r in after.limits
        )
        if not fits:
            out.append(holder)
            continue
        for r, amount in amounts.items():
            used[r] = used.get(r, _ZERO) + amount
    return tuple(reversed(out))


def _admitted(
    tree: QuotaTree, ledgers: Mapping[str, Mapping[str, Amounts]], waiting: Iterable[Holder]
) -> list[Holder]:
    """Who of those that wait would get in, one after the other."""
    now = {team: dict(entries) for team, entries in ledgers.items()}
    let_in = []
    for holder in waiting:
        chain = [share.name for share in tree.chain(holder.team)][::-1]
        if _fits(tree, now, chain, holder):
            for team in chain:
                now.setdefault(team, {})[holder.name] = holder.demand
            tree = _with_reserved(tree, now, chain)
            let_in.append(holder)
    return let_in


def _fits(
    tree: QuotaTree, ledgers: Mapping[str, Mapping[str, Amounts]], chain: Sequence[str],
    holder: Holder,
) -> bool:  # fmt: skip
    for at, team in enumerate(chain):
        share = tree.find(team)
        assert share is not None
        kept = tree.kept(team, chain[at + 1 :])
        if shortages(share.limits, ledgers.get(team, {}), holder.name, holder.demand, kept):
            return False
    return True


def _with_reserved(
    tree: QuotaTree, ledgers: Mapping[str, Mapping[str, Amounts]], chain: Iterable[str]
) -> QuotaTree:
    for team in chain:
        share = tree.find(team)
        assert share is not None
        held = reserved(ledgers[team])
        tree = tree.with_share(
            Share(share.name, share.parent, share.limits, share.guaranteed, held)
        )
    return tree


def _fingerprint(uid: str, after: Share, lines: Iterable[LineChange], out: Iterable[Holder]) -> str:
    told = {
        "team": uid,
        "parent": after.parent,
        "limits": dict(after.limits),
        "guaranteed": dict(after.guaranteed),
        "over": {c.resource: c.over for c in lines},
        "out": [h.name for h in out],
    }
    return fingerprint(told)
