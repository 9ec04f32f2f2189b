"""Which quotas and places in a tree are allowed, with every fault by its pointer and number.

Checked where a quota or a parent is written, and told as a condition of the team when it came past the
API:

- `guaranteed` is at most the `limit` of its line.
- The parent exists, no team is its own ancestor, and a tree has at most DEPTH_LIMIT levels.
- A limit is at most that of the nearest ancestor that names the resource.
- What the children of a team are guaranteed together is at most what the team itself is guaranteed of
  that resource, or its limit where it names no guarantee: nobody can promise on what they were not
  promised. A child that names no guarantee stands for the sum of those below it.
"""

from collections.abc import Iterable
from decimal import Decimal

from atoll.domain.quantities import parse_quantity
from atoll.domain.quota_tree import DEPTH_LIMIT, QuotaTree, Share
from atoll.domain.quotas import amount_text
from atoll.errors import FieldProblem

_ZERO = Decimal(0)


def tree_problems(tree: QuotaTree, name: str) -> list[FieldProblem]:
    """What is wrong with a team's lines and place in the tree, by pointer into its object."""
    share = tree.find(name)
    assert share is not None
    if found := _place_problems(tree, share):
        return [*line_problems(share), *found]
    resources = sorted({r for s in (share, *tree.below(name)) for r in (*s.limits, *s.guaranteed)})
    return [
        *line_problems(share),
        *(p for r in resources for p in _limit_problems(tree, share, r)),
        *(p for r in resources for p in _guarantee_problems(tree, share, r)),
    ]


def _place_problems(tree: QuotaTree, share: Share) -> list[FieldProblem]:
    seen, at = [share.name], share
    while at.parent is not None:
        above = tree.find(at.parent)
        if above is None:
            whose = "" if at is share else f", the parent of {at.name!r}"
            text = f"there is no team {at.parent!r}{whose}; make it first, or name another parent"
            return [FieldProblem("/spec/parent", text)]
        if above.name in seen:
            circle = " → ".join([*seen, above.name])
            text = f"goes in a circle: {circle}; name a team that is not below, or none"
            return [FieldProblem("/spec/parent", text)]
        seen.append(above.name)
        at = above
    levels = len(seen) + tree.height(share.name)
    if levels > DEPTH_LIMIT:
        text = f"the tree would have {levels} levels; hang the team higher up"
        return [FieldProblem("/spec/parent", text, str(DEPTH_LIMIT))]
    return []


def _limit_problems(tree: QuotaTree, share: Share, resource: str) -> Iterable[FieldProblem]:
    """Limits over those of the nearest team above that names one, where `share` is on the way."""
    above_us = {s.name for s in tree.chain(share.name)[1:]}
    larger: dict[str, Decimal] = {}
    for one in (share, *tree.below(share.name)):
        own = one.limit(resource)
        above = next((s for s in tree.chain(one.name)[1:] if resource in s.limits), None)
        if own is None or above is None or own <= (most := above.limit(resource) or _ZERO):
            continue
        if one is share:
            text = (
                f"{amount_text(resource, own)} is more than the limit of the team above, {above.name!r}; "
                "name at most that, or have it raised there first"
            )
            yield FieldProblem(limit_pointer(resource), text, amount_text(resource, most))
        elif above is share:
            larger[one.name] = own
        elif above.name in above_us:
            text = (
                f"team {one.name!r} below has {amount_text(resource, own)} of {resource}, more than "
                f"{above.name!r} above; lower it first, or have that raised"
            )
            yield FieldProblem("/spec/parent", text, amount_text(resource, most))
    if larger:
        names = ", ".join(f"{n} {amount_text(resource, v)}" for n, v in larger.items())
        yield FieldProblem(
            limit_pointer(resource),
            f"is less than the limits of teams below it ({names}); lower those first",
            amount_text(resource, max(larger.values())),
        )


def _guarantee_problems(tree: QuotaTree, share: Share, resource: str) -> Iterable[FieldProblem]:
    """Of the team's own promise to its children, and of those above that its line counts towards."""
    for at in tree.chain(share.name):
        most, total = at.promised(resource), tree.needed_below(at.name, resource)
        if most is not None and total > most:
            parts = ", ".join(
                f"{c.name} {amount_text(resource, n)}"
                for c in tree.children(at.name)
                if (n := tree.needed(c.name, resource))
            )
            what = "guaranteed" if resource in at.guaranteed else "limit"
            yield FieldProblem(
                f"{pointer(resource)}/{what if at is share else 'guaranteed'}",
                f"the teams below {at.name!r} are guaranteed {amount_text(resource, total)} together "
                f"({parts}), more than the {what} of {at.name!r}; "
                f"guarantee less, or raise that {what} first",
                amount_text(resource, most),
            )
        if at is not share and resource in at.guaranteed:
            return  # above it, its own guarantee counts and not what is below


def line_problems(share: Share) -> list[FieldProblem]:
    """Guarantees above their own limits."""
    return [
        FieldProblem(
            f"{pointer(resource)}/guaranteed",
            f"{text} is more than the limit of this line; guarantee at most that, or raise the limit",
            share.limits[resource],
        )
        for resource, text in share.guaranteed.items()
        if resource in share.limits
        and parse_quantity(text) > parse_quantity(share.limits[resource])
    ]


def pointer(resource: str) -> str:
    """JSON pointer of a resource's line in the spec of a team or virtual cluster."""
    return "/spec/quota/" + resource.replace("~", "~0").replace("/", "~1")


def limit_pointer(resource: str) -> str:
    """JSON pointer of a line's limit in a team's spec."""
    return f"{pointer(resource)}/limit"
