"""Faults of data in our words; nothing of the validator's own."""

from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, TypeAdapter, ValidationError
from pydantic_core._pydantic_core import list_all_errors

from atoll.contract.quota_requests import QuotaDecision, QuotaRequestCreate
from atoll.resources.faults import first_of, problems_of, words
from atoll.resources.meta import Model
from atoll.resources.profiles import RedisPart
from atoll.resources.teams import TeamSpec
from atoll.resources.virtual_clusters import RayClusterSpec, VirtualClusterSpec

FOREIGN = ("Input should", "Value error", "Field required", "Extra inputs", "valid dictionary")


def faults_of(model: type[Model], data: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as refused:
        model.model_validate(data)
    found = problems_of(refused.value.errors(include_url=False), "/spec")
    return {problem.pointer: problem.detail for problem in found}


@pytest.mark.parametrize(
    ("model", "data", "where", "told"),
    [
        (TeamSpec, [], "/spec", "must be an object of names and values; a list was given"),
        (TeamSpec, {"members": {}}, "/spec/members", "must be a list; an object was given"),
        (TeamSpec, {"displayName": 7}, "/spec/displayName", "must be text; 7 was given"),
        (TeamSpec, {"displayName": None}, "/spec/displayName",
         "must be text; nothing (null) was given"),
        (TeamSpec, {"colour": "red"}, "/spec/colour", "there is no such field"),
        (TeamSpec, {"members": [{}]}, "/spec/members/0/name", "is missing"),
        (TeamSpec, {"members": [{"name": "a", "role": "king"}]}, "/spec/members/0/role",
         "must be 'owner', 'member' or 'viewer'; \"king\" was given"),
        (TeamSpec, {"quota": {"cpu": "4"}}, "/spec/quota/cpu",
         'must be an object of names and values; "4" was given'),
        (VirtualClusterSpec, {"team": "a", "replicaSets": {"a/b": "two"}}, "/spec/replicaSets/a~1b",
         'must be a whole number; "two" was given'),
        (VirtualClusterSpec, {"team": "a", "replicaSets": {"4c8g": 1.5}}, "/spec/replicaSets/4c8g",
         "must be a whole number; 1.5 was given"),
        (VirtualClusterSpec, {"team": "a", "divisible": "maybe"}, "/spec/divisible",
         'must be true or false; "maybe" was given'),
        (VirtualClusterSpec, {"team": "a", "quota": {"cpu": None}}, "/spec/quota/cpu",
         "must be a quantity: a number that is not negative with an optional unit, such as 500m, 4, "
         "2Gi or 100M"),
        (RayClusterSpec, {"name": "a", "workers": -1}, "/spec/workers",
         "must be at least 0; -1 was given"),
        (RedisPart, {"replicas": 2}, "/spec/replicas", "must be 1 or 3; 2 was given"),
        (QuotaRequestCreate, {"team": "a", "quota": {}, "days": 400}, "/spec/days",
         "must be at most 365; 400 was given"),
        (QuotaDecision, {"note": "x" * 2001}, "/spec/note",
         "must have at most 2000 characters; 2001 characters given"),
    ],
)  # fmt: skip
def test_what_is_wrong_what_was_given_what_is_allowed(
    model: type[Model], data: Any, where: str, told: str
) -> None:
    assert faults_of(model, data) == {where: told}


def test_a_long_value_is_cut() -> None:
    (told,) = faults_of(RayClusterSpec, {"name": "a", "workers": "x" * 500}).values()
    assert told.endswith("… (502 characters) was given")
    assert len(told) < 120


def test_one_line_for_conditions() -> None:
    with pytest.raises(ValidationError) as refused:
        RayClusterSpec.model_validate({"name": "a", "workers": "many"})
    assert first_of(refused.value) == 'workers: must be a whole number; "many" was given'


@pytest.mark.parametrize("error", list_all_errors(), ids=lambda e: e["type"])
def test_no_fault_is_told_in_the_validators_words(error: dict[str, Any]) -> None:
    told = words({"type": error["type"], "loc": (), "input": "x", "ctx": error["example_context"]})
    assert told
    assert not any(foreign in told for foreign in FOREIGN)
    assert "{" not in told


def test_a_rule_of_ours_speaks_for_itself() -> None:
    def even(number: int) -> int:
        if number % 2:
            raise ValueError(f"{number} is odd; choose an even one")
        return number

    with pytest.raises(ValidationError) as refused:
        TypeAdapter(Annotated[int, AfterValidator(even)]).validate_python(3)
    (problem,) = problems_of(refused.value.errors(include_url=False))
    assert problem.detail == "3 is odd; choose an even one"
