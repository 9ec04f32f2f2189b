"""Quota arithmetic, by property: whatever is let in, the sum stays within the limit."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.domain import quotas
from atoll.domain.quantities import parse_quantity

names = st.sampled_from(["a", "b", "c", "d"])
cpu = st.integers(0, 40).map(lambda n: f"{n * 250}m")
memory = st.integers(0, 64).map(lambda n: f"{n}Gi")
amounts = st.fixed_dictionaries({}, optional={"cpu": cpu, "memory": memory, "pods": st.just("3")})
asks = st.lists(st.tuples(names, st.booleans(), amounts), max_size=30)


@settings(deadline=None)
@given(limit_cpu=cpu, limit_memory=memory, asks=asks)
def test_the_sum_never_passes_the_limit(
    limit_cpu: str, limit_memory: str, asks: list[tuple[str, bool, dict[str, str]]]
) -> None:
    limits = {"cpu": limit_cpu, "memory": limit_memory}
    ledger: dict[str, dict[str, str]] = {}
    for number, (name, pending, wanted) in enumerate(asks):
        if not quotas.shortages(limits, ledger, name, wanted):
            ledger[f"{name}/{number}-x" if pending else name] = wanted
        total = quotas.reserved(ledger)
        for resource, limit in limits.items():
            assert parse_quantity(total.get(resource, "0")) <= parse_quantity(limit)


@settings(deadline=None)
@given(wanted=amounts, others=amounts)
def test_what_does_not_grow_is_never_refused(
    wanted: dict[str, str], others: dict[str, str]
) -> None:
    ledger = {"mine": wanted, "theirs": others}
    none = dict.fromkeys(("cpu", "memory", "pods"), "0")
    assert quotas.shortages(none, ledger, "mine", wanted) == []


def test_a_shortage_has_the_numbers_and_the_holders() -> None:
    ledger = {"a": {"cpu": "1500m"}, "a/1700000000-ff": {"cpu": "2"}, "b": {"memory": "1Gi"}}
    (found,) = quotas.shortages({"cpu": "3", "memory": "4Gi"}, ledger, "c", {"cpu": "1500m"})
    assert found == quotas.Shortage("cpu", "1500m", "1", "3", {"a": "2"})
    assert quotas.describe([found]) == "cpu: 1500m asked, 1 free of 3 (held by a 2)"


def test_free_is_never_negative_when_the_limit_was_lowered() -> None:
    (found,) = quotas.shortages({"cpu": "1"}, {"a": {"cpu": "4"}}, "b", {"cpu": "1"})
    assert found.free == "0"


def test_a_change_under_way_counts_as_the_larger_of_both() -> None:
    held = quotas.held_by_owner(
        {"a": {"cpu": "3", "memory": "1Gi"}, "a/1-x": {"cpu": "2", "pods": "5"}}
    )
    assert held == {"a": {"cpu": Decimal(3), "memory": Decimal(2**30), "pods": Decimal(5)}}


def test_expired_keys_are_the_noted_ones_that_are_old() -> None:
    ledger: dict[str, dict[str, str]] = {"a": {}, "a/100-x": {}, "b/190-y": {}, "odd/x": {}}
    assert quotas.expired_keys(ledger, now=201, patience=100) == ["a/100-x"]


@pytest.mark.parametrize("name", ["cpu", "nvidia.com/gpu", "virtualclusters"])
def test_resources_that_are(name: str) -> None:
    assert quotas.resource_problem(name) is None


@pytest.mark.parametrize("name", ["CPU", "gpu", "/gpu", "nvidia.com/", ""])
def test_resources_that_are_not(name: str) -> None:
    assert "not a resource" in (quotas.resource_problem(name) or "")


def test_what_the_team_limits_must_be_named() -> None:
    limits = {"cpu": "1", "memory": "1Gi", "virtualclusters": "2"}
    assert quotas.missing_resources(limits, {"cpu": "1", "pods": "3"}) == ["memory"]
    assert quotas.demand({"cpu": "1"}) == {"cpu": "1", "virtualclusters": "1"}
