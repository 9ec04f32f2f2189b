"""The gang mirror's rules."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.domain import gangs
from atoll.domain.quantities import parse_quantity


@pytest.mark.parametrize("claims", [{}, {"a": "ray"}, {"b-1": "other", "a": "ray", "a-b": "ray"}])
def test_claims_are_read_as_they_were_written(claims: dict[str, str]) -> None:
    text = gangs.written_claims(claims)
    assert gangs.read_claims(text) == claims
    assert all(f",{gang}={holder}," in text for gang, holder in claims.items())
    assert len(text) == sum(gangs.claim_bytes(*claim) for claim in claims.items()) + bool(claims)


def group(namespace: str = "ray", created: str = "2026-11-21T08:00:00Z", **spec: Any) -> Any:
    meta = {"name": "ray-x-pg", "namespace": namespace, "creationTimestamp": created}
    return {"metadata": meta, "spec": {"minMember": 3, **spec}}


def copied(found: Any) -> Any:
    return gangs.mirrored(found, virtual_cluster="lab", team="t", fence=4)


def test_only_sizes_cross_over_and_the_queue_is_forced() -> None:
    sly = group(
        queue="other", minResources={"cpu": "1"}, priorityClassName="high", networkTopology={}
    )
    sly["metadata"] |= {
        "labels": {"volcano.sh/preemptable": "false"},
        "annotations": {"volcano.sh/preemptable": "false"},
    }
    copy = copied(sly)
    assert copy["spec"] == {"minMember": 3, "minResources": {"cpu": "1"}, "queue": "vc-lab"}
    assert copy["metadata"]["namespace"] == "vc-lab"
    assert not [key for key in copy["metadata"]["annotations"] if "volcano" in key]
    assert gangs.virtual_namespace(copy) == "ray"
    assert gangs.fence_of(copy) == 4


def test_what_is_no_size_stays_inside() -> None:
    sly = group(
        minMember=-3,
        minTaskMember={"head": 1, "workers": -5},
        minResources={"cpu": "-1000", "memory": "1Gi", "nvidia.com/gpu": "many"},
    )
    assert copied(sly)["spec"] == {
        "minTaskMember": {"head": 1}, "minResources": {"memory": "1Gi"}, "queue": "vc-lab",
    }  # fmt: skip


def test_a_gang_without_a_spec_is_one_without_sizes() -> None:
    bare = group()
    del bare["spec"]  # Volcano's definition does not ask for one
    assert copied(bare)["spec"] == {"queue": "vc-lab"}


def test_a_changed_size_is_noticed_also_when_a_field_goes() -> None:
    before, after = copied(group(minResources={"cpu": "1"})), copied(group())
    hashes = [c["metadata"]["annotations"]["atoll.dev/values-hash"] for c in (before, after)]
    assert hashes[0] != hashes[1]


def test_who_has_the_name_keeps_it_and_else_the_oldest_gets_it() -> None:
    old, new = group("old", "2026-11-21T08:00:00Z"), group("new", "2026-11-21T09:00:00Z")
    assert gangs.owner([new, old], None) is old
    assert gangs.owner([new, old], "new") is new
    assert gangs.owner([new, old], "gone") is old
    assert gangs.owner([], "gone") is None


def test_a_refusal_names_who_has_the_name_and_what_to_do() -> None:
    condition = gangs.refused(group("mine"), "theirs")["conditions"][0]
    assert condition["reason"] == "NameTaken"
    assert "Namespace theirs" in condition["message"]
    assert "delete the one in mine" in condition["message"]


def test_the_schedulers_words_come_back_and_moments_alone_are_no_news() -> None:
    condition = {"type": "Unschedulable", "status": "True", "message": "no room", "reason": "x"}
    host = {
        "status": {
            "phase": "Inqueue",
            "running": 1,
            "conditions": [{**condition, "transitionID": "a", "lastTransitionTime": "1"}],
        }
    }
    shown = gangs.brought_back(host)
    assert shown["phase"] == "Inqueue"
    assert shown["conditions"] == [{**condition, "lastTransitionTime": "1"}]
    later = {**shown, "conditions": [{**condition, "lastTransitionTime": "2"}]}
    assert gangs.same_status(shown, later)
    assert not gangs.same_status(shown, {**later, "phase": "Running"})
    assert not gangs.same_status(None, later)


def test_a_queue_holds_the_quota_and_its_part_of_the_guarantee() -> None:
    quota = {"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": "1", "pods": "9", "count/x.y": "3"}
    spec = gangs.queue_spec(quota, {"cpu": "8", "memory": "8Gi"}, {"cpu": "4"})
    assert spec["capability"] == {"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": "1"}
    assert spec["guarantee"] == {"resource": {"cpu": "1"}}
    assert spec["weight"] == 2
    assert "guarantee" not in gangs.queue_spec(quota, {"cpu": "8"}, {})


@pytest.mark.parametrize(("cpu", "weight"), [("500m", 1), ("7900m", 7), ("1000000", 65535)])
def test_weights_stay_in_volcanos_range(cpu: str, weight: int) -> None:
    assert gangs.queue_spec({"cpu": cpu}, {}, {})["weight"] == weight


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=8), st.integers(0, 40000))
def test_the_parts_of_a_guarantee_never_pass_the_whole(parts: list[int], more: int) -> None:
    limit = sum(parts) + more
    guaranteed = {"cpu": f"{limit // 2}m"}
    shares = [
        gangs.queue_spec({"cpu": f"{part}m"}, {"cpu": f"{limit}m"}, guaranteed)["guarantee"]
        for part in parts
    ]
    total = sum((parse_quantity(s["resource"]["cpu"]) for s in shares), Decimal(0))
    assert total <= parse_quantity(guaranteed["cpu"])
