"""The judge of gangs finds each of the things that must never be."""

import pytest
from bench.gangs.judge import Gang, Judge

NODES = {"a": 1000, "b": 1000}


@pytest.fixture
def judge() -> Judge:
    """A queue of two cores, on two nodes of one."""
    return Judge(2000, NODES)


def asked(judge: Judge, name: str, size: int, cpu: int = 100) -> Gang:
    gang = Gang(name, size, cpu)
    judge.made(gang)
    return gang


def bind(judge: Judge, gang: Gang, *numbers: int, node: str = "a") -> None:
    for number in numbers:
        judge.bound(gang.name, f"{gang.name}-{number}", node, float(number))


def end(judge: Judge, gang: Gang) -> None:
    for pod in list(gang.held):
        judge.ended(gang.name, pod)


def test_gangs_that_are_whole_one_after_the_other_are_well(judge: Judge) -> None:
    first, second = asked(judge, "first", 10), asked(judge, "second", 10, 200)
    bind(judge, first, *range(10))
    assert first.whole == 9.0
    end(judge, first)
    bind(judge, second, *range(5))
    assert judge.begun == ["second (5 of 10)"]
    bind(judge, second, *range(5, 10), node="b")
    assert (judge.faults, judge.begun) == ([], [])
    assert (judge.most_claimed, judge.most_begun, judge.longest_begun) == (2000, 1, 9.0)


def test_two_half_gangs_that_wait_for_each_others_places_are_found_at_the_second_ones_first_pod(
    judge: Judge,
) -> None:
    first, second = asked(judge, "first", 12), asked(judge, "second", 12)
    bind(judge, first, *range(6))
    assert not judge.faults
    bind(judge, second, 0, node="b")
    assert "second has begun without room for all of it: 2400m of 2000m" in judge.faults[0]
    assert "first (6 of 12), second (1 of 12)" in judge.faults[0]


def test_two_gangs_in_between_at_once_are_well_while_both_have_room(judge: Judge) -> None:
    first, second = asked(judge, "first", 8), asked(judge, "second", 8)
    bind(judge, first, 0)
    bind(judge, second, *range(8), node="b")
    bind(judge, first, *range(1, 8))
    assert (judge.faults, judge.most_begun) == ([], 2)


def test_a_gang_that_loses_a_pod_before_it_is_whole(judge: Judge) -> None:
    gang = asked(judge, "it", 3)
    bind(judge, gang, 0, 1)
    judge.ended("it", "it-0")
    assert judge.faults == ["it lost it-0 with 2 of 3 pods bound"]


def test_a_node_with_more_than_it_has(judge: Judge) -> None:
    bind(judge, asked(judge, "it", 3, 400), 0, 1, 2)
    assert judge.faults == ["a holds 1200m of 1000m"]


def test_more_pods_than_members_and_a_pod_in_two_places(judge: Judge) -> None:
    gang = asked(judge, "it", 2)
    bind(judge, gang, 0, 1, 2)
    assert judge.faults == ["it has 3 pods of 2"]
    bind(judge, gang, 0, node="b")
    assert judge.faults[1:] == ["it-0 was bound to a and then to b"]


def test_what_is_left_when_all_is_over(judge: Judge) -> None:
    gang = asked(judge, "it", 3)
    bind(judge, gang, 0)
    judge.gone("it")
    assert judge.faults == ["it is gone and still holds 1 pods"]
