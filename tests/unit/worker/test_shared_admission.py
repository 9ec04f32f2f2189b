"""Admission inside a shared virtual cluster, where the host's scheduler places pods."""

import json
from typing import Any

from atoll_worker.reconcile.policies.everything import policy_manifests
from atoll_worker.reconcile.policies.manifests import Enforced


def made(host_queue: str) -> list[dict[str, Any]]:
    enforced = Enforced("team-t", "x", {}, mutating="v1", host_queue=host_queue)
    return policy_manifests(enforced, {})


def policy(manifests: list[dict[str, Any]], kind: str) -> str:
    (found,) = [
        m for m in manifests
        if m["kind"] == f"{kind}AdmissionPolicy" and m["metadata"]["name"] == "atoll-pods"
    ]  # fmt: skip
    return json.dumps(found["spec"])


def test_pods_without_a_gang_go_to_the_hosts_queue_and_plain_ones_are_left_alone() -> None:
    shared = made("vc-x")
    for kind in ("Mutating", "Validating"):
        told = policy(shared, kind)
        assert "vc-x" in told
        assert "!= 'atoll-plain'" in told
        assert "redis-cleanup" not in told
        assert "vc-x" not in policy(made(""), kind)


def test_only_the_hosts_priority_classes_are_in_a_shared_virtual_cluster() -> None:
    assert "PriorityClass" in {m["kind"] for m in made("")}
    assert "PriorityClass" not in {m["kind"] for m in made("vc-x")}
