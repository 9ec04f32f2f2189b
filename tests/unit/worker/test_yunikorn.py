"""YuniKorn's own: amounts as it writes them, one queue and no other, words from placeholder pods."""

from typing import Any

import pytest
import yaml

from atoll.domain.queue_shares import queue_share
from atoll.domain.schedulers import VOLCANO, YUNIKORN
from atoll_worker.reconcile.schedulers.policies import gang_policies
from atoll_worker.reconcile.schedulers.yunikorn import YuniKorn


def queues(**quota: str) -> dict[str, Any]:
    named = {key.replace("_", "."): value for key, value in quota.items()}
    manifest = YuniKorn().queue_spec("team-blue", queue_share(named), {})
    assert (manifest["metadata"]["namespace"], manifest["metadata"]["name"]) == (
        "atoll-system", "yunikorn-configs",
    )  # fmt: skip
    (partition,) = yaml.safe_load(manifest["data"]["queues.yaml"])["partitions"]
    found: dict[str, Any] = partition
    return found


def test_there_is_one_queue_and_a_pod_cannot_make_another() -> None:
    partition = queues(cpu="4")
    assert partition["placementrules"] == [{"name": "provided", "create": False}]
    (root,) = partition["queues"]
    (leaf,) = root["queues"]
    assert (root["name"], leaf["name"]) == ("root", "team-blue")
    assert "queues" not in leaf
    # Task groups are for queues that serve first come first (yunikorn-core, partition.go).
    assert leaf["properties"] == {"application.sort.policy": "fifo"}


@pytest.mark.parametrize(
    ("resource", "amount", "line"),
    [
        ("cpu", "4", {"vcore": "4000m"}),
        ("cpu", "2500m", {"vcore": "2500m"}),
        ("cpu", "0.5", {"vcore": "500m"}),
        ("memory", "1.5Gi", {"memory": "1610612736"}),
        ("memory", "1e9", {"memory": "1000000000"}),
        ("nvidia.com/gpu", "2", {"nvidia.com/gpu": "2"}),
    ],
)
def test_amounts_are_whole_numbers(resource: str, amount: str, line: dict[str, str]) -> None:
    manifest = YuniKorn().queue_spec("q", queue_share({resource: amount}), {})
    (partition,) = yaml.safe_load(manifest["data"]["queues.yaml"])["partitions"]
    assert partition["queues"][0]["queues"][0]["resources"] == {"max": line}


def placeholder(number: int, node: str | None, words: str = "") -> dict[str, Any]:
    said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words}
    return {
        "metadata": {
            "name": f"tg-ray-1-workers-{number}",
            "labels": {"yunikorn.apache.org/app-id": "ray-1"},
            "annotations": {"internal.yunikorn.apache.org/placeholder": "true"},
        },
        "spec": {"nodeName": node} if node else {},
        "status": {"conditions": [said] if words else []},
    }


def member(status: dict[str, Any]) -> dict[str, Any]:
    labels = {"ray.io/cluster": "main", "yunikorn.apache.org/app-id": "ray-1"}
    return {"metadata": {"name": "main-head", "labels": labels}, "spec": {}, "status": status}


def test_it_counts_the_places_and_says_why_the_rest_is_missing() -> None:
    told = [member({}), placeholder(0, "n1"), placeholder(1, None)]
    told += [placeholder(2, None, "no room for it")]
    assert YuniKorn().explain("main", told) == "1 of 3 places reserved; no room for it"
    assert YuniKorn().explain("other", told) == ""
    assert YuniKorn().explain("main", told[:2]) == ""


def test_a_gang_that_was_refused_says_why() -> None:
    pod = member({"phase": "Failed", "reason": "ApplicationRejected", "message": " too large"})
    assert YuniKorn().explain("main", [pod]) == "too large"


def test_only_a_scheduler_that_needs_it_has_policies_for_gangs() -> None:
    assert gang_policies(VOLCANO, "q", {}, mutate=True) == []
    made = gang_policies(YUNIKORN, "q", {}, mutate=True)
    names = {(one["kind"].removesuffix("Binding"), one["metadata"]["name"]) for one in made}
    validating, mutating = "ValidatingAdmissionPolicy", "MutatingAdmissionPolicy"
    assert names == {
        (validating, "atoll-gang"), (mutating, "atoll-gang"), (validating, "atoll-gang-jobs"),
        (validating, "atoll-gang-pods"), (mutating, "atoll-gang-pods"),
    }  # fmt: skip
    assert len(made) == 2 * len(names)
