"""Pods of other namespaces leave contested gangs, and looking for them costs little."""

from typing import Any, cast

from atoll.cluster.client import Cluster, Object
from atoll.domain.gangs import GROUP_NAME
from atoll_worker.mirror.clearing import Clearing


def pod(name: str, gang: str, namespace: str = "lab") -> Object:
    notes = {GROUP_NAME: gang}
    meta = {"name": name, "namespace": namespace, "uid": name, "annotations": notes}
    return {"metadata": meta}


class Inside:
    """Has pods that stay, whatever they are asked."""

    def __init__(self, pods: list[Object]) -> None:
        self.pods, self.lists = pods, 0
        self.asked: list[str] = []

    async def items(self, _kind: object) -> list[Object]:
        self.lists += 1
        return list(self.pods)

    async def delete(self, _kind: object, name: str, _namespace: str) -> None:
        self.asked.append(name)


class Clock:
    """Time as the test says."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def made(pods: list[Object]) -> tuple[Clearing, Inside, Any, Clock]:
    clock, inside = Clock(), Inside(pods)
    return Clearing(clock), inside, cast(Cluster, inside), clock


async def test_many_contested_names_cost_one_list_at_a_time_and_ever_fewer() -> None:
    names = [f"gang-{at}" for at in range(40)]
    clearing, inside, cluster, clock = made([pod(f"of-{name}", name) for name in names])
    for name in names:
        clearing.noted(name)
        assert await clearing.clear(cluster, name, "ray")
    assert inside.lists == 0
    pauses: list[float] = []
    clock.now = 0.4
    for turn in range(8):
        told = {await clearing.clear(cluster, name, "ray") for name in names}
        assert inside.lists == turn + 1
        pauses += [pause for pause in told if pause]
        clock.now += pauses[-1]
    assert pauses == [0.3, 0.6, 1.2, 2.4, 4.8, 5.0, 5.0, 5.0]
    assert inside.asked == [f"of-{name}" for name in names]


async def test_it_ends_when_they_are_gone_and_begins_anew_with_the_next() -> None:
    clearing, inside, cluster, clock = made([pod("late", "rays"), pod("own", "rays", "ray")])
    clearing.noted("rays")
    clock.now = 0.5
    assert await clearing.clear(cluster, "rays", "ray") == 0.3
    assert inside.asked == ["late"]
    inside.pods.clear()
    clock.now = 1.0
    assert await clearing.clear(cluster, "rays", "ray") is None
    lists = inside.lists
    clock.now = 9.0
    assert await clearing.clear(cluster, "rays", "ray") is None
    assert inside.lists == lists
    clearing.forget("rays")
    inside.pods.append(pod("next", "rays"))
    clearing.noted("rays")
    clock.now = 9.5
    assert await clearing.clear(cluster, "rays", "ray") == 0.3
    assert inside.asked == ["late", "next"]


async def test_pods_that_came_after_the_note_are_the_hosts_to_refuse() -> None:
    clearing, inside, cluster, clock = made([])
    clearing.noted("rays")
    clock.now = 0.4
    assert await clearing.clear(cluster, "rays", "ray") is None
    inside.pods.append(pod("refused", "rays"))
    clock.now = 60.0
    assert await clearing.clear(cluster, "rays", "ray") is None
    assert inside.asked == []


async def test_a_list_from_before_the_note_does_not_count() -> None:
    clearing, inside, cluster, clock = made([pod("stuck", "old")])
    clearing.noted("old")
    clock.now = 0.4
    assert await clearing.clear(cluster, "old", "ray")
    clearing.noted("new")
    inside.pods.append(pod("slipped-in", "new"))
    clock.now = 0.6
    assert await clearing.clear(cluster, "new", "ray")
    assert inside.asked == ["stuck"]
    clock.now = 0.71
    assert await clearing.clear(cluster, "new", "ray")
    assert inside.asked == ["stuck", "slipped-in"]
