"""A queue is made to say what it must, and no more than that."""

from typing import Any

from atoll.cluster.kinds import QUEUE
from atoll.domain.gangs import queue_spec
from atoll.domain.queue_shares import queue_share
from atoll_worker.reconcile.outcome import Patch, Put
from atoll_worker.reconcile.queue_changes import queue_changes
from atoll_worker.reconcile.schedulers.volcano import Volcano

TEAM = {"cpu": "8", "memory": "8Gi"}


def inside(quota: dict[str, str], guaranteed: dict[str, str]) -> dict[str, Any]:
    return Volcano().queue_spec("team-red", queue_share(quota, TEAM, guaranteed), {"a": "b"})


def on_the_host(quota: dict[str, str], guaranteed: dict[str, str]) -> dict[str, Any]:
    made = inside(quota, guaranteed)
    return {**made, "spec": queue_spec(quota, TEAM, guaranteed)}


def test_what_says_it_all_is_left_alone() -> None:
    for made in (inside(TEAM, {"cpu": "4"}), on_the_host(TEAM, {"cpu": "4"})):
        told = {**made, "status": {"state": "Open"}, "spec": {**made["spec"], "parent": "root"}}
        assert queue_changes(told, made) == []
    assert queue_changes(None, made) == [Put(made)]


def test_a_guarantee_that_the_team_has_no_more_is_not_kept_from_others() -> None:
    for make in (inside, on_the_host):
        had, wanted = make(TEAM, {"cpu": "4", "memory": "4Gi"}), make(TEAM, {"memory": "4Gi"})
        change = {"spec": {"guarantee": {"resource": {"cpu": None}}}}
        assert queue_changes(had, wanted)[-1] == Patch(QUEUE, "team-red", change)
        all_gone = {"spec": {"guarantee": {"resource": {"cpu": None, "memory": None}}}}
        assert queue_changes(had, make(TEAM, {}))[-1] == Patch(QUEUE, "team-red", all_gone)


def test_a_resource_that_is_taken_out_of_the_quota_is_no_longer_capped() -> None:
    had, wanted = inside(TEAM, {}), inside({"cpu": "8"}, {})
    gone = {"memory": None}
    change = {"spec": {"capability": gone, "deserved": gone}}
    assert queue_changes(had, wanted, inside=True) == [
        Patch(QUEUE, "team-red", change, inside=True)
    ]
