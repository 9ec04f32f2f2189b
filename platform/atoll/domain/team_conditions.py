"""What is to be said about a team's quota: whether it may be so, and whether it is kept. Pure."""

from collections.abc import Mapping

from atoll.domain.findings import Finding
from atoll.domain.quantities import parse_quantity
from atoll.domain.quota_rules import pointer, tree_problems
from atoll.domain.quota_tree import QuotaTree, Share
from atoll.domain.quotas import amount_text, resource_problem
from atoll.errors import FieldProblem

VALID = "QuotaValid"
WITHIN = "WithinQuota"


def findings(
    tree: QuotaTree, name: str, unreadable: str, known: frozenset[str] | None
) -> list[Finding]:
    """Both conditions of a team.

    `unreadable` says why the stored team breaks its own types, empty when it does not; `known` are the
    extended resources of the host's nodes, None when they are not known.
    """
    share = tree.find(name)
    assert share is not None
    return [_valid(tree, share, unreadable, known), _within(share)]


def _valid(tree: QuotaTree, share: Share, unreadable: str, known: frozenset[str] | None) -> Finding:
    if unreadable:
        return Finding(VALID, False, "StoredInvalid", unreadable)
    names = [
        FieldProblem(pointer(r), text)
        for r in share.limits
        if (text := resource_problem(r)) is not None
    ]
    problems = [*names, *tree_problems(tree, share.name)]
    if problems:
        place = any(p.pointer == "/spec/parent" for p in problems)
        return Finding(VALID, False, "TeamTreeBroken" if place else "QuotaInvalid", _told(problems))
    if known is not None and (unknown := _unknown(share.limits, known)):
        there = ", ".join(sorted(known)) or "none"
        return Finding(
            VALID,
            False,
            "UnknownResource",
            f"No node of the host has {', '.join(unknown)}; extended resources there: {there}. Name "
            "another, or add nodes that have it.",
        )
    return Finding(VALID, True, "Valid", "Limits and guarantees fit those of the teams around it")


def _unknown(limits: Mapping[str, str], known: frozenset[str]) -> list[str]:
    asked = (r for r, limit in sorted(limits.items()) if "/" in r and parse_quantity(limit))
    return [r for r in asked if r not in known]


def _told(problems: list[FieldProblem]) -> str:
    return "; ".join(
        f"{p.pointer}: {p.detail}" + (f" ({p.limit})" if p.limit else "") for p in problems
    )


def _within(share: Share) -> Finding:
    over = []
    for resource, limit in sorted(share.limits.items()):
        held, most = parse_quantity(share.reserved.get(resource, "0")), parse_quantity(limit)
        if held > most:
            over.append(
                f"{resource}: {amount_text(resource, held)} reserved of {limit}, "
                f"{amount_text(resource, held - most)} over"
            )
    if not over:
        return Finding(WITHIN, True, "WithinLimits", "No more is reserved than the limits allow")
    return Finding(
        WITHIN,
        False,
        "OverReserved",
        f"{'; '.join(over)}. What runs stays; nothing of it grows until it is below the limits.",
    )
