"""Which Ray clusters have a claim to the quota, and what becomes of the others."""

from typing import Any

import pytest

from atoll.cluster.kinds import RAY_CLUSTER
from atoll_worker.reconcile.outcome import Patch
from atoll_worker.reconcile.policies.counts import (
    RayCount,
    count_changes,
    limit_ray_clusters,
    ray_count,
)


def cluster(
    name: str, made: int, *, namespace: str = "ray", state: str = "", **spec: Any
) -> dict[str, Any]:
    stamp = f"2026-11-21T12:00:{made:02}Z"
    meta = {"name": name, "namespace": namespace, "creationTimestamp": stamp}
    return {"metadata": meta, "spec": spec, "status": {"state": state} if state else {}}


def counted(limit: str, *found: dict[str, Any], of_spec: tuple[str, ...] = ()) -> RayCount:
    made = ray_count({"rayclusters": limit}, found, of_spec)
    assert made
    return made


def suspended(name: str, so: bool, namespace: str = "ray") -> Patch:
    note = {"atoll.dev/over-quota": "true" if so else None}
    change = {"metadata": {"annotations": note}, "spec": {"suspend": so}}
    return Patch(RAY_CLUSTER, name, change, namespace, inside=True)


def test_without_a_limit_nothing_is_counted() -> None:
    assert ray_count({"cpu": "4"}, [cluster("a", 1)], ()) is None


def test_the_specs_own_come_first_then_the_oldest_of_any_namespace() -> None:
    found = [
        cluster("late", 9), cluster("own", 8), cluster("early", 1, namespace="x"),
        cluster("own", 2, namespace="x"),  # of the same name elsewhere: not the spec's
    ]  # fmt: skip
    assert counted("4", *found, of_spec=("own",)).names == [
        "ray/own",
        "x/early",
        "x/own",
        "ray/late",
    ]


def test_one_on_its_way_out_counts_no_more() -> None:
    leaving = cluster("a", 1)
    leaving["metadata"]["deletionTimestamp"] = "2026-11-21T12:01:00Z"
    there = counted("1", leaving)
    assert limit_ray_clusters("lab", there) is None
    assert count_changes(there, [leaving]) == []


@pytest.mark.parametrize(
    ("limit", "names", "words"),
    [
        ("2", ["a", "b"], "may hold 2 Ray clusters in all namespaces together and has 2: ray/a, "
         "ray/b. Delete one, or ask the team owner for more rayclusters in its quota."),
        ("0", [], "namespaces together. Ask the team owner for more rayclusters"),
        ("1", ["a"], "may hold 1 Ray cluster in"),
        ("7", list("abcdefg"), "has 7: ray/a, ray/b, ray/c, ray/d, ray/e and 2 more. Delete one"),
    ],
)  # fmt: skip
def test_a_full_quota_is_refused_in_words(limit: str, names: list[str], words: str) -> None:
    policy = limit_ray_clusters("lab", counted(limit, *(cluster(n, 1) for n in names)))
    assert policy
    (rule,) = policy.rules
    assert words in rule.message


def test_what_slipped_through_is_suspended_and_goes_on_when_there_is_room() -> None:
    first, second = cluster("a", 1, state="ready"), cluster("b", 2)
    assert count_changes(counted("1", first, second), [first, second]) == [suspended("b", True)]
    second["spec"]["suspend"] = True
    second["metadata"]["annotations"] = {"atoll.dev/over-quota": "true"}
    assert count_changes(counted("1", first, second), [first, second]) == []
    assert count_changes(counted("2", first, second), [first, second]) == [suspended("b", False)]
    assert count_changes(None, [first, second]) == [suspended("b", False)]


@pytest.mark.parametrize("state", ["", "ready"])
def test_what_its_user_resumes_is_suspended_again_also_when_it_has_run_since(state: str) -> None:
    first, second = cluster("a", 1, state="ready"), cluster("b", 2, state=state, suspend=False)
    second["metadata"]["annotations"] = {"atoll.dev/over-quota": "true"}
    assert count_changes(counted("1", first, second), [first, second]) == [suspended("b", True)]


def test_what_runs_stays_when_the_quota_is_lowered() -> None:
    running, was = cluster("a", 1, state="ready"), cluster("b", 2)
    was["status"] = {"stateTransitionTimes": {"ready": "2026-11-21T12:01:00Z"}}
    own = cluster("c", 3, suspend=True)  # by its user
    assert count_changes(counted("0", running, was, own), [running, was, own]) == []
