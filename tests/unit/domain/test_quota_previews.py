"""What a change would do: who is over, who would not get in again, who would."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.domain.lowering import describe_over
from atoll.domain.quantities import parse_quantity
from atoll.domain.quota_previews import Holder, Preview, preview
from atoll.domain.quota_tree import QuotaTree, Share
from atoll.domain.quotas import reserved

Ledger = dict[str, dict[str, str]]


def cpu(amount: int) -> dict[str, str]:
    return {"cpu": str(amount)}


def holder(name: str, amount: int, team: str = "t", *, waiting: bool = False) -> Holder:
    return Holder(
        name, team, f"2026-01-01T00:00:{ord(name[0]) % 60:02d}Z", cpu(amount), waiting=waiting
    )


def run(before: int, after: int, held: Ledger, *waiting: Holder, uid: str = "u") -> Preview:
    tree = QuotaTree([Share("t", limits=cpu(before), reserved=reserved(held))])
    holders = [holder(name, int(a["cpu"])) for name, a in held.items()]
    return preview(tree, Share("t", limits=cpu(after)), {"t": held}, [*holders, *waiting], uid)


def test_the_youngest_would_not_be_let_in_again() -> None:
    found = run(10, 5, {"a": cpu(2), "b": cpu(2), "c": cpu(4)})
    assert [h.name for h in found.no_longer_fit] == ["c"]
    assert found.lines[0].over == "3"
    assert found.needs_confirmation
    assert describe_over(found.lines, "reserved") == "cpu: 8 reserved of 5, 3 over"


def test_what_is_over_already_and_less_so_needs_no_confirmation() -> None:
    held = {"a": cpu(9)}
    assert not run(5, 6, held).needs_confirmation
    assert run(6, 5, held).needs_confirmation


def test_who_waits_gets_in_one_after_the_other() -> None:
    waiting = [holder(n, a, waiting=True) for n, a in (("d", 4), ("e", 9), ("f", 2))]
    assert [h.name for h in run(2, 8, {"a": cpu(1)}, *waiting).would_be_admitted] == ["d", "f"]


def test_an_ancestor_that_is_full_lets_nobody_in() -> None:
    shares = [Share("top", limits=cpu(4), reserved=cpu(4)), Share("t", "top", cpu(1))]
    late = holder("late", 2, waiting=True)
    after = Share("t", "top", cpu(4))
    ledgers: dict[str, Ledger] = {"top": {"other": cpu(4)}, "t": {}}
    assert preview(QuotaTree(shares), after, ledgers, [late], "u").would_be_admitted == ()
    ledgers["top"] = {}
    roomy = QuotaTree([Share("top", limits=cpu(4)), shares[1]])
    assert preview(roomy, after, ledgers, [late], "u").would_be_admitted == (late,)


def test_a_change_under_way_counts() -> None:
    tree = QuotaTree([Share("t", limits=cpu(9))])
    held = {"coming/1-x": cpu(6)}
    found = preview(tree, Share("t", limits=cpu(4)), {"t": held}, [], "u")
    assert [h.name for h in found.no_longer_fit] == ["coming"]


def test_a_fingerprint_names_one_outcome() -> None:
    one = run(9, 4, {"a": cpu(5)})
    assert one.fingerprint == run(9, 4, {"a": cpu(5)}).fingerprint
    others = [run(9, 4, {"a": cpu(6)}), run(9, 3, {"a": cpu(5)}), run(9, 4, {"a": cpu(5)}, uid="x")]
    assert len({one.fingerprint, *(o.fingerprint for o in others)}) == 4


@settings(deadline=None)
@given(
    held=st.dictionaries(st.sampled_from("abcdefgh"), st.integers(1, 6).map(cpu)),
    limit=st.integers(0, 20),
)
def test_those_who_stay_fit_and_each_that_is_out_would_not(held: Ledger, limit: int) -> None:
    found = run(100, limit, held)
    out = {h.name for h in found.no_longer_fit}
    stay = sum((parse_quantity(a["cpu"]) for n, a in held.items() if n not in out), Decimal(0))
    assert stay <= limit
    assert bool(out) == found.needs_confirmation
