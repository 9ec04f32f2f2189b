"""Which nodes a dedicated virtual cluster gets."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from atoll.domain.nodes import HostNode, allocate

NODES = st.lists(
    st.builds(
        HostNode,
        name=st.integers(0, 30).map(lambda i: f"n{i:02}"),
        template=st.sampled_from(["small", "large"]),
        owner=st.sampled_from([None, None, "me", "other"]),
        ready=st.booleans(),
        pods=st.integers(0, 5),
        leaving=st.booleans(),
    ),
    unique_by=lambda node: node.name,
)
WANTED = st.dictionaries(st.sampled_from(["small", "large"]), st.integers(0, 6))


@given(NODES, WANTED)
def test_all_or_nothing_never_of_others_and_exactly_what_was_asked(
    nodes: list[HostNode], wanted: dict[str, int]
) -> None:
    got = allocate(nodes, "me", wanted)
    by_name = {n.name: n for n in nodes}
    assert all(by_name[n].owner is None and by_name[n].ready for n in got.take)
    assert all(by_name[n].owner == "me" for n in (*got.keep, *got.release))
    assert not set(got.keep) & set(got.release)
    if got.missing:
        assert not got.take
    else:
        for template in ("small", "large"):
            held = [n for n in (*got.keep, *got.take) if by_name[n].template == template]
            assert len(held) == wanted.get(template, 0)


@given(NODES, WANTED)
def test_a_second_look_changes_nothing(nodes: list[HostNode], wanted: dict[str, int]) -> None:
    got = allocate(nodes, "me", wanted)
    owner = dict.fromkeys(got.take, "me") | dict.fromkeys(got.release)
    after = [replace(n, owner=owner.get(n.name, n.owner)) for n in nodes]
    again = allocate(after, "me", wanted)
    assert not again.take
    assert not again.release


def test_what_is_missing_is_told_with_what_is_free() -> None:
    nodes = [
        HostNode("a", "small"),
        HostNode("b", "small", "other"),
        HostNode("c", "small", None, False),
    ]
    got = allocate(nodes, "me", {"small": 3})
    assert got.missing == {"small": 2}
    assert got.available == {"small": 1}


def test_of_too_many_the_sick_ones_go_first() -> None:
    nodes = [HostNode("a", "small", "me", ready=False), HostNode("b", "small", "me")]
    assert allocate(nodes, "me", {"small": 1}).release == ("a",)


def test_of_too_many_the_emptiest_goes_and_does_not_come_back_while_it_empties() -> None:
    nodes = [
        HostNode(name, "small", "me", pods=count)
        for name, count in zip("abc", (2, 1, 3), strict=True)
    ]
    assert allocate(nodes, "me", {"small": 2}).release == ("b",)
    # Its pods went elsewhere or came back: what is leaving goes on leaving.
    moved = [replace(n, pods=9, leaving=True, ready=False) if n.name == "b" else n for n in nodes]
    assert allocate(moved, "me", {"small": 2}).release == ("b",)
    assert allocate(moved, "me", {"small": 3}).keep == ("c", "a", "b")
