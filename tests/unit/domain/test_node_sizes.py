"""Whether one pod fits one node, and what is said when no node will do."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.application.node_fit import ray_size_problems, size_problems
from atoll.domain.node_sizes import may_run_on, misfit, size_of
from atoll.domain.nodes import HostNode
from atoll.resources.virtual_clusters import RayClusterSpec, VirtualClusterSpec


def node(name: str, template: str, owner: str | None = None, **size: str) -> HostNode:
    amounts = {"nvidia.com/gpu" if key == "gpu" else key: text for key, text in size.items()}
    return HostNode(name, template, owner, size=amounts)


SMALL = node("s1", "4c8g", cpu="3800m", memory="7Gi")
LARGE = node("l1", "8c64g1x", cpu="7800m", memory="60Gi", gpu="1")
WIDE = node("w1", "16c16g", cpu="15", memory="15Gi")
NODES = [SMALL, LARGE, WIDE]


def spec(**more: Any) -> VirtualClusterSpec:
    return VirtualClusterSpec.model_validate({"team": "t", "replicaSets": {"4c8g": 2}} | more)


def ray(**more: Any) -> RayClusterSpec:
    return RayClusterSpec.model_validate({"name": "main"} | more)


def test_the_first_resource_that_no_node_has_is_named_with_the_largest() -> None:
    found = misfit({"cpu": "4", "memory": "2Gi"}, [SMALL])
    assert found
    assert (found.resource, found.asked, found.largest, found.node) == ("cpu", "4", "3800m", "s1")
    assert found.text == (
        "asks for 4 of cpu, and the largest node it may run on has 3800m (s1, template '4c8g')"
    )
    assert misfit({"cpu": "3800m", "memory": "7Gi"}, [SMALL]) is None


def test_each_may_fit_somewhere_and_all_nowhere() -> None:
    found = misfit({"cpu": "12", "memory": "30Gi"}, NODES)
    assert found
    assert found.together
    assert "more than any one node has" in found.text


def test_a_device_that_no_node_has() -> None:
    found = misfit({"cpu": "1", "nvidia.com/gpu": "1"}, [SMALL, WIDE])
    assert found
    assert found.text == "asks for 1 of nvidia.com/gpu, and no node it may run on has any"


def test_nothing_is_said_of_nodes_that_are_not_known() -> None:
    assert misfit({"cpu": "99"}, []) is None
    assert misfit({"cpu": "99"}, [SMALL, node("new", "4c8g")]) is None
    assert size_of({"status": {"capacity": {"cpu": 4}, "allocatable": {"cpu": "3"}}}) == {
        "cpu": "3"
    }
    assert size_of({"status": {"capacity": {"cpu": 4}}}) == {"cpu": "4"}
    assert size_of({}) == {}


@given(st.lists(st.integers(1, 64), min_size=1, max_size=6), st.integers(1, 80))
def test_refused_exactly_when_larger_than_all(sizes: list[int], asked: int) -> None:
    nodes = [node(f"n{i}", "x", cpu=str(cpu)) for i, cpu in enumerate(sizes)]
    assert (misfit({"cpu": str(asked)}, nodes) is not None) == (asked > max(sizes))


def test_where_pods_may_run() -> None:
    mine = node("s2", "4c8g", "me", cpu="4")
    kept_out = HostNode("s3", "4c8g", kept_out=True)
    every = [SMALL, LARGE, mine, kept_out]
    assert may_run_on(every, "me", "dedicated", {"4c8g": 1, "8c64g1x": 0}) == [
        SMALL,
        mine,
        kept_out,
    ]
    assert may_run_on(every, "me", "shared", {}) == [SMALL, LARGE]


@pytest.mark.parametrize(
    ("cluster", "more", "pointer", "words"),
    [
        ({"workerCpu": "6"}, {}, "/workerCpu", "in spec.replicaSets for nodes of 16c16g or 8c64g1x"),
        ({"headMemory": "30Gi"}, {}, "/headMemory", "the head asks for 30Gi of memory"),
        ({"workerGpus": 1}, {}, "/workerGpus", "for nodes of 8c64g1x"),
        ({"workerCpu": "40"}, {}, "/workerCpu", "no node of the host is larger"),
        ({"workerCpu": "40"}, {"mode": "shared", "replicaSets": {}}, "/workerCpu",
         "to those that are shared"),
    ],
)  # fmt: skip
def test_the_field_the_numbers_and_the_way_out(
    cluster: dict[str, Any], more: dict[str, Any], pointer: str, words: str
) -> None:
    (problem,) = size_problems("vc", spec(**more), ray(**cluster), NODES)
    assert problem.pointer == pointer
    assert words in problem.detail
    assert "it would wait for ever" in problem.detail
    assert problem.limit


def test_no_workers_no_word_of_them() -> None:
    assert size_problems("vc", spec(), ray(workerCpu="99", workers=0), NODES) == []


def test_what_was_there_does_not_hold_up_other_changes() -> None:
    before = spec(rayClusters=[{"name": "main", "workerCpu": "6"}])
    grown = spec(rayClusters=[{"name": "main", "workerCpu": "6"}], quota={"cpu": "9"})
    assert ray_size_problems("vc", grown, before, NODES) == []
    other_nodes = spec(rayClusters=[{"name": "main", "workerCpu": "6"}], replicaSets={"4c8g": 1})
    (problem,) = ray_size_problems("vc", other_nodes, before, NODES)
    assert problem.pointer == "/spec/rayClusters/0/workerCpu"
