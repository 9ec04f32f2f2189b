"""Merge patches, pointers, names that may reach Kubernetes, pages."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.application.pages import PageAsk, piece
from atoll.application.validation import can_exist, merge_patch, parse, pointer, spec_patch
from atoll.errors import InvalidError
from atoll.resources.teams import TeamSpec

# The examples of RFC 7396, appendix A.
RFC_7396: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7396)
def test_merge_patch(target: Any, patch: Any, result: Any) -> None:
    assert merge_patch(target, patch) == result


def test_every_fault_has_its_pointer() -> None:
    body = {"quota": {"nvidia.com/gpu": {"limit": "x"}}, "members": [{"role": "owner"}], "odd": 1}
    with pytest.raises(InvalidError) as refused:
        parse(TeamSpec, body, "/spec")
    found = {p.pointer: p.detail for p in refused.value.fields}
    assert set(found) == {"/spec/quota/nvidia.com~1gpu/limit", "/spec/members/0/name", "/spec/odd"}
    assert found["/spec/members/0/name"] == "is missing"
    assert "2 more" in refused.value.detail


def test_pointer_escapes() -> None:
    assert pointer("a/b", "c~d", 0) == "/a~1b/c~0d/0"


@pytest.mark.parametrize(
    "body", [None, [], "x", {}, {"spec": []}, {"spec": None}, {"spec": {}, "name": "x"}]
)
def test_no_spec_patches(body: Any) -> None:
    with pytest.raises(InvalidError):
        spec_patch(body)


@pytest.mark.parametrize(
    "name", ["..", ".", "", "a/b", "a%2fb", "A", "a b", "a\n", "x" * 254, "ä", "a?x=1"]
)
def test_names_that_never_reach_kubernetes(name: str) -> None:
    assert not can_exist(name)


@dataclass(frozen=True)
class Thing:
    name: str


@settings(deadline=None)
@given(st.sets(st.text("abcxyz-09", min_size=1, max_size=9), max_size=40), st.integers(1, 7))
def test_pages_are_the_whole_list_once_and_in_order(names: set[str], limit: int) -> None:
    seen: list[str] = []
    cursor: str | None = None
    while True:
        page = piece([Thing(n) for n in names], PageAsk(limit, cursor))
        seen += [t.name for t in page.items]
        assert len(page.items) <= limit
        if page.next is None:
            break
        cursor = page.next
    assert seen == sorted(names)


@pytest.mark.parametrize("cursor", ["x", "!!!", "Mjph", "/w", "a" * 300])
def test_cursors_that_are_not_ours(cursor: str) -> None:
    with pytest.raises(InvalidError):
        piece([Thing("a")], PageAsk(1, cursor))
