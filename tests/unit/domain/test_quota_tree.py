"""Trees of teams, by property: whatever is let in, no sum passes any ancestor's limit, and what is
guaranteed can still be had."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.domain import quotas
from atoll.domain.quantities import parse_quantity
from atoll.domain.quota_rules import tree_problems
from atoll.domain.quota_tree import (
    DEPTH_LIMIT,
    BrokenTreeError,
    QuotaTree,
    Share,
    effective_limits,
    readable,
)

TEAMS = ("root", "a", "b", "aa", "ab")
PARENTS = {"a": "root", "b": "root", "aa": "a", "ab": "a"}
small = st.integers(0, 12)
Line = tuple[int, int]


def share(
    name: str, parent: str | None = None, reserved: int = 0, **lines: int | tuple[int, int]
) -> Share:
    both = {k: v if isinstance(v, tuple) else (v, None) for k, v in lines.items()}
    return Share(
        name, parent,
        {k: str(limit) for k, (limit, _) in both.items()},
        {k: str(g) for k, (_, g) in both.items() if g is not None},
        {"cpu": str(reserved)} if reserved else {},
    )  # fmt: skip


def tree_of(
    lines: dict[str, Line | None], ledgers: dict[str, dict[str, dict[str, str]]]
) -> QuotaTree:
    def one(name: str) -> Share:
        line = lines[name]
        limits = {} if line is None else {"cpu": str(line[0])}
        promised = {} if line is None or not line[1] else {"cpu": str(line[1])}
        held = quotas.reserved(ledgers[name])
        return Share(name, PARENTS.get(name), limits, promised, held)

    return QuotaTree(one(name) for name in TEAMS)


lines = st.fixed_dictionaries(
    {name: st.one_of(st.none(), st.tuples(small, small)) for name in TEAMS}
)
asks = st.lists(
    st.tuples(st.sampled_from(TEAMS), st.sampled_from("pqrs"), st.integers(0, 6)), max_size=25
)


def reserve(
    tree: QuotaTree, ledgers: dict[str, dict[str, dict[str, str]]], team: str, vc: str, cpu: int
) -> bool:
    """As the ledgers do it: at every level, root first, or nowhere."""
    chain = [s.name for s in tree.chain(team)][::-1]
    for at, name in enumerate(chain):
        found = tree.find(name)
        assert found is not None
        kept = tree.kept(name, chain[at + 1 :])
        if quotas.shortages(found.limits, ledgers[name], vc, {"cpu": str(cpu)}, kept):
            return False
    for name in chain:
        ledgers[name][vc] = {"cpu": str(cpu)}
    return True


def total(ledger: dict[str, dict[str, str]]) -> Decimal:
    return parse_quantity(quotas.reserved(ledger).get("cpu", "0"))


@settings(deadline=None)
@given(lines=lines, asks=asks)
def test_no_sum_passes_any_limit_on_the_way(
    lines: dict[str, Line | None], asks: list[tuple[str, str, int]]
) -> None:
    ledgers: dict[str, dict[str, dict[str, str]]] = {name: {} for name in TEAMS}
    for team, vc, cpu in asks:
        reserve(tree_of(lines, ledgers), ledgers, team, f"{team}-{vc}", cpu)
        for name, line in lines.items():
            assert line is None or total(ledgers[name]) <= line[0]
    for name in ("root", "a"):
        below = [child for child, parent in PARENTS.items() if parent == name]
        assert total(ledgers[name]) >= sum(total(ledgers[child]) for child in below)


@settings(deadline=None, max_examples=300)
@given(lines=lines, asks=asks, late=st.sampled_from(TEAMS[1:]))
def test_a_guarantee_can_be_had_whatever_others_took(
    lines: dict[str, Line | None], asks: list[tuple[str, str, int]], late: str
) -> None:
    ledgers: dict[str, dict[str, dict[str, str]]] = {name: {} for name in TEAMS}
    tree = tree_of(lines, ledgers)
    if any(tree_problems(tree, name) for name in TEAMS):
        return
    promise = lines[late]
    others = [a for a in asks if late not in tree.chain_names(a[0])]
    for team, vc, cpu in others:
        reserve(tree_of(lines, ledgers), ledgers, team, f"{team}-{vc}", cpu)
    if promise and promise[1]:
        held_below = [c for c in PARENTS if PARENTS[c] == late and tree.needed(c, "cpu")]
        assert held_below or reserve(tree_of(lines, ledgers), ledgers, late, "late", promise[1])


@settings(deadline=None)
@given(lines=lines)
def test_a_valid_tree_never_promises_more_than_it_has(lines: dict[str, Line | None]) -> None:
    tree = tree_of(lines, {name: {} for name in TEAMS})
    if any(tree_problems(tree, name) for name in TEAMS):
        return
    for name, line in lines.items():
        if line is not None:
            assert tree.needed_below(name, "cpu") <= line[0]
            assert (line[1] or 0) <= line[0]


def pointers(tree: QuotaTree, name: str) -> dict[str, str]:
    return {p.pointer: p.detail for p in tree_problems(tree, name)}


def test_what_is_allowed_has_no_problems() -> None:
    tree = QuotaTree(
        [
            share("top", cpu=(10, 6)),
            share("kid", "top", cpu=(8, 4)),
            share("other", "top", cpu=(9, 2)),
        ]
    )
    assert all(not tree_problems(tree, name) for name in ("top", "kid", "other"))


def test_a_guarantee_above_its_own_limit() -> None:
    tree = QuotaTree([share("top", cpu=(2, 3))])
    assert list(pointers(tree, "top")) == ["/spec/quota/cpu/guaranteed"]


def test_a_limit_above_the_nearest_team_that_names_one() -> None:
    between = [share("top", cpu=4), share("mid", "top"), share("kid", "mid", cpu=5)]
    tree = QuotaTree(between)
    found = pointers(tree, "kid")
    assert "'top'" in found["/spec/quota/cpu/limit"]
    assert "kid 5" in pointers(tree, "top")["/spec/quota/cpu/limit"]
    assert "'kid'" in pointers(tree, "mid")["/spec/parent"]


@pytest.mark.parametrize(("promise", "what"), [((10, 5), "guaranteed"), ((5, None), "limit")])
def test_children_are_promised_more_than_there_is(
    promise: tuple[int, int | None], what: str
) -> None:
    top = share("top", cpu=promise[0] if promise[1] is None else (promise[0], promise[1]))
    tree = QuotaTree([top, share("a", "top", cpu=(5, 3)), share("b", "top", cpu=(5, 3))])
    words = pointers(tree, "a")["/spec/quota/cpu/guaranteed"]
    assert "6 together (a 3, b 3)" in words
    assert f"more than the {what} of 'top'" in words
    assert f"/spec/quota/cpu/{what}" in pointers(tree, "top")


def test_a_child_that_promises_nothing_stands_for_those_below() -> None:
    tree = QuotaTree(
        [share("top", cpu=5), share("mid", "top"), share("x", "mid", cpu=(4, 3)),
         share("y", "mid", cpu=(4, 3))]
    )  # fmt: skip
    assert tree.needed("mid", "cpu") == 6
    assert "/spec/quota/cpu/guaranteed" in pointers(tree, "x")


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ([share("a", "gone")], "there is no team 'gone'"),
        ([share("a", "b"), share("b", "gone")], "there is no team 'gone', the parent of 'b'"),
        ([share("a", "b"), share("b", "a")], "a → b → a"),
        ([share("a", "a")], "a → a"),
    ],
)
def test_parents_that_make_no_tree(shares: list[Share], words: str) -> None:
    tree = QuotaTree(shares)
    assert words in pointers(tree, "a")["/spec/parent"]
    with pytest.raises(BrokenTreeError) as broken:
        tree.chain("a")
    assert broken.value.detail.count("→") <= 2  # a circle is told once, not round and round


def test_a_tree_has_a_depth() -> None:
    deep = [share("t0"), *(share(f"t{n}", f"t{n - 1}") for n in range(1, DEPTH_LIMIT + 1))]
    tree = QuotaTree(deep)
    assert "6 levels" in pointers(tree, f"t{DEPTH_LIMIT}")["/spec/parent"]
    assert "6 levels" in pointers(tree, "t1")["/spec/parent"]
    with pytest.raises(BrokenTreeError, match="beyond 5 levels"):
        tree.chain(f"t{DEPTH_LIMIT}")
    assert len(tree.chain(f"t{DEPTH_LIMIT - 1}")) == DEPTH_LIMIT


def test_what_is_kept_for_others() -> None:
    tree = QuotaTree(
        [share("top", cpu=10, reserved=3), share("a", "top", reserved=1, cpu=(5, 4)),
         share("b", "top", reserved=2, cpu=(5, 1)), share("aa", "a", cpu=(3, 2))]
    )  # fmt: skip
    assert tree.kept("top", ["b"]) == {"cpu": 3}
    assert tree.kept("top", ["a"]) == {"cpu": 2}  # aa's, which the others of a may not take either
    assert tree.kept("top", ["a", "aa"]) == {}
    assert tree.kept("top", []) == {"cpu": 3}
    assert tree.kept("a", []) == {"cpu": 2}


def test_the_smallest_limit_on_the_way_counts() -> None:
    tree = QuotaTree([share("top", cpu=4, pods=9), share("kid", "top", cpu=3)])
    assert effective_limits(tree.chain("kid")) == {"cpu": "3", "pods": "9"}


def test_what_nobody_can_read_lets_nothing_more_in() -> None:
    assert readable({"cpu": "many", "pods": 4}, "0") == {"cpu": "0", "pods": "4"}
    assert readable({"cpu": "many", "pods": 4}, None) == {"pods": "4"}


def test_the_tightest_limit_on_the_way_to_the_root_is_what_is_left() -> None:
    tree = QuotaTree(
        [
            share("top", reserved=5, cpu=8, gpu=2),
            share("red", "top", reserved=2, cpu=7),
            share("blue", "top", reserved=3, cpu=(6, 4)),
        ]
    )
    red = {resource: (int(r.free), r.bound_by) for resource, r in tree.room("red").items()}
    assert red == {"cpu": (2, "top"), "gpu": (2, "top")}  # 8 - 5 - 1 that blue is still promised
    assert tree.room("blue")["cpu"].free == 3
    assert tree.room("top")["cpu"].free == 2
    assert tree.room("nobody") == {}


def test_where_a_team_and_its_parent_bind_alike_the_team_is_named() -> None:
    tree = QuotaTree([share("a", cpu=4), share("b", "a", cpu=4)])
    assert tree.room("b")["cpu"].bound_by == "b"


def test_room_is_never_below_nothing_and_a_missing_parent_leaves_the_own_limit() -> None:
    tree = QuotaTree([share("low", "gone", reserved=5, cpu=4), share("high", "gone", 1, cpu=4)])
    assert tree.room("low")["cpu"].free == 0
    assert tree.room("high")["cpu"].free == 3
