"""What a use of an Idempotency-Key says when it is refused."""

import pytest

from atoll.application.callers import Caller
from atoll.application.idempotency import Idempotency, idempotency
from atoll.contract.teams import TeamCreate
from atoll.errors import InvalidError

SOMEBODY = Caller("a", frozenset({"admin"}))


def use(name: str, route: str = "POST /v1/teams") -> Idempotency:
    found = idempotency(SOMEBODY, route, "k-1", TeamCreate(name=name))
    assert found
    return found


def test_another_body_names_the_field_and_the_way_out() -> None:
    first, other = use("red"), use("blue")
    assert first.label == other.label
    first.check(use("red").fingerprint)
    with pytest.raises(InvalidError) as refused:
        other.check(first.fingerprint)
    problem = refused.value
    assert problem.code == "idempotency_mismatch"
    assert [field.pointer for field in problem.fields] == ["/header/Idempotency-Key"]
    assert "repeat the first body, or take a new key" in problem.detail


def test_a_key_is_of_one_route() -> None:
    assert use("red").label != use("red", "POST /v1/profiles").label
