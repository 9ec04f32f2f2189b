"""Gang arithmetic: all or nothing, never more than there is."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.hosts.sandbox.agent.gang import (
    Room,
    added,
    admits,
    amounts,
    demand,
    place,
    thousandths,
    within,
)


def pod(name: str, cpu: int, **spec: Any) -> dict[str, Any]:
    resources = {"requests": {"cpu": f"{cpu}m"}}
    containers = [{"name": "c", "image": "i", "resources": resources}]
    return {"metadata": {"name": name}, "spec": {"containers": containers, **spec}}


def room(name: str, cpu: int, pods: int = 110, **spec: Any) -> Room:
    node = {"metadata": {"name": name, "labels": {"pool": "a"}}, "spec": spec}
    return Room(node, {"cpu": cpu, "pods": pods * 1000})


CPUS = st.lists(st.integers(1, 4000), min_size=1, max_size=8)


@given(CPUS, CPUS)
def test_a_gang_is_placed_whole_or_not_at_all(asked: list[int], free: list[int]) -> None:
    pods = [pod(f"p{i}", cpu) for i, cpu in enumerate(asked)]
    rooms = [room(f"n{i}", cpu) for i, cpu in enumerate(free)]
    chosen = place(pods, rooms, len(pods))
    if chosen is None:
        assert [one.free["cpu"] for one in rooms] == free
        return
    assert set(chosen) == {one["metadata"]["name"] for one in pods}
    for one, before in zip(rooms, free, strict=True):
        taken = sum(
            cpu for i, cpu in enumerate(asked) if chosen[f"p{i}"] == one.node["metadata"]["name"]
        )
        assert one.free["cpu"] == before - taken >= 0


@given(CPUS)
def test_a_gang_that_is_larger_than_everything_free_waits(asked: list[int]) -> None:
    rooms = [room("n", sum(asked) - 1)]
    assert place([pod(f"p{i}", cpu) for i, cpu in enumerate(asked)], rooms, len(asked)) is None


def test_enough_members_are_enough() -> None:
    chosen = place([pod("a", 1000), pod("b", 1000)], [room("n", 1500)], 1)
    assert chosen is not None
    assert len(chosen) == 1


def test_the_number_of_pods_counts() -> None:
    assert place([pod("a", 1), pod("b", 1)], [room("n", 4000, pods=1)], 2) is None


def test_missing_extended_resources_are_missing() -> None:
    asked = pod("a", 1)
    asked["spec"]["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": 1}}
    assert place([asked], [room("n", 4000)], 1) is None


def test_selectors_and_taints_keep_pods_away() -> None:
    taint = {"key": "k", "value": "v", "effect": "NoSchedule"}
    tolerant = pod("a", 1, tolerations=[{"key": "k", "operator": "Exists"}])
    assert admits(room("n", 1).node, pod("a", 1, nodeSelector={"pool": "a"}))
    assert not admits(room("n", 1).node, pod("a", 1, nodeSelector={"pool": "b"}))
    assert not admits(room("n", 1, taints=[taint]).node, pod("a", 1))
    assert admits(room("n", 1, taints=[taint]).node, tolerant)
    assert not admits(room("n", 1, unschedulable=True).node, pod("a", 1))


def test_demand_takes_the_larger_of_init_and_running_containers() -> None:
    one = pod("a", 100)
    initial = {"name": "i", "image": "i", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}
    one["spec"]["initContainers"] = [initial]
    assert demand(one) == {"cpu": 1000, "memory": 2**30 * 1000, "pods": 1000}


def test_limits_stand_in_for_requests() -> None:
    one = pod("a", 1)
    one["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "2"}}
    assert demand(one)["cpu"] == 2000


@pytest.mark.parametrize(
    ("text", "value"),
    [("100m", 100), ("1", 1000), ("1.5", 1500), ("1Ki", 1024000), (2, 2000), ("1e3", 10**6)],
)
def test_quantities(text: str, value: int) -> None:
    assert thousandths(text) == value


@pytest.mark.parametrize("text", ["", "x", "1Xi", "--1"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        thousandths(text)


def test_a_queue_caps_only_what_it_names() -> None:
    cap = amounts({"cpu": "2"})
    assert within({"cpu": 1000}, {"cpu": 1000, "memory": 10**15}, cap)
    assert not within({"cpu": 1000}, {"cpu": 1001}, cap)
    assert within({}, {"cpu": 10**9}, {})


@given(st.dictionaries(st.sampled_from("abc"), st.integers(0, 9)))
def test_adding_and_taking_away_is_nothing(part: dict[str, int]) -> None:
    assert not any(added(part, {key: -value for key, value in part.items()}).values())
