"""If-Match as HTTP writes it."""

import pytest

from atoll.api.parameters import parse_if_match
from atoll.errors import InvalidError, PreconditionMissingError


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("*", None),
        ('"12"', frozenset({"12"})),
        ('W/"12"', frozenset({"12"})),
        ('"12", "13"', frozenset({"12", "13"})),
        ('"12",W/"13"', frozenset({"12", "13"})),
    ],
)
def test_what_is_accepted(header: str, expected: frozenset[str] | None) -> None:
    assert parse_if_match(header) == expected


@pytest.mark.parametrize("header", ["12", '"12', '"1" "2"x', "abc, def"])
def test_what_is_not(header: str) -> None:
    with pytest.raises(InvalidError):
        parse_if_match(header)


def test_it_must_be_there() -> None:
    with pytest.raises(PreconditionMissingError):
        parse_if_match(None)
