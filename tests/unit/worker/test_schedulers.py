"""The contract that every scheduler adapter keeps. A new adapter passes by being in ADAPTERS."""

import re
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from atoll.cluster.drift import says
from atoll.cluster.kinds import kind_of
from atoll.domain.queue_shares import differences, queue_share
from atoll.domain.ray_clusters import ray_cluster_manifest
from atoll.domain.schedulers import SCHEDULERS
from atoll.resources.profiles import Profile
from atoll.resources.virtual_clusters import RayClusterSpec
from atoll_worker.reconcile.schedulers import ADAPTERS, adapter_of
from atoll_worker.reconcile.schedulers.adapter import SchedulerAdapter
from atoll_worker.reconcile.schedulers.policies import queue_rule

CHART = {"repository": "https://charts.example", "name": "c", "version": "1.9.0"}
LABELS = {"atoll.dev/step": "queue"}
_DNS = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")


def profile(scheduler: str, registry: str | None = None) -> Profile:
    spec: dict[str, Any] = {
        "kubernetes": {"version": "1.36.3"}, "vcluster": {"chart": CHART}, "ray": {"version": "2.60.0"},
        "kuberay": {"chart": CHART}, "scheduler": {"name": scheduler, "chart": CHART},
        "registry": registry,
    }  # fmt: skip
    return Profile.model_validate({"metadata": {"name": "p"}, "spec": spec})


@pytest.fixture(params=sorted(ADAPTERS))
def adapter(request: pytest.FixtureRequest) -> SchedulerAdapter:
    return ADAPTERS[request.param]


def test_every_scheduler_has_an_adapter_and_a_profile_may_name_it() -> None:
    assert set(ADAPTERS) == set(SCHEDULERS)
    for name in SCHEDULERS:
        assert adapter_of(profile(name)).facts is SCHEDULERS[name]


def test_an_adapter_has_no_state(adapter: SchedulerAdapter) -> None:
    with pytest.raises(FrozenInstanceError):
        adapter.release = "other"  # type: ignore[misc]


def test_its_release_and_deployments_have_names(adapter: SchedulerAdapter) -> None:
    assert _DNS.match(adapter.release)
    assert adapter.deployments
    assert all(_DNS.match(name) for name in adapter.deployments)


def test_values_are_equal_for_equal_profiles_and_follow_the_mirror(
    adapter: SchedulerAdapter,
) -> None:
    name = adapter.facts.name
    plain, again = adapter.values(profile(name)), adapter.values(profile(name))
    assert plain == again
    mirrored = adapter.values(profile(name, "mirror.example"))
    assert "mirror.example" in str(mirrored)
    assert "mirror.example" not in str(plain)


def test_our_own_ray_clusters_carry_what_admission_demands(adapter: SchedulerAdapter) -> None:
    facts = adapter.facts
    manifest = ray_cluster_manifest(
        RayClusterSpec(name="main"), team="blue", virtual_cluster="demo", scheduler=facts.name,
        ray_version="2.60.0", image="ray:2.60.0",
    )  # fmt: skip
    labels = manifest["metadata"]["labels"]
    assert labels.items() >= facts.labels("team-blue").items()
    # A constant: the queue must not be an expression over what the tenant wrote.
    assert queue_rule(facts, "team-blue") == {
        facts.queue_label: f"'{labels[facts.queue_label]}'"
    }  # fmt: skip


def test_the_queue_is_named_labelled_and_capped(adapter: SchedulerAdapter) -> None:
    quota = {"cpu": "2500m", "memory": "8Gi", "nvidia.com/gpu": "2"}
    manifest = adapter.queue_spec("team-blue", queue_share(quota), LABELS)
    assert kind_of(manifest).api_version == manifest["apiVersion"]
    assert manifest["metadata"]["labels"] == LABELS
    assert "team-blue" in str(manifest)
    for resource, amount in quota.items():
        more = adapter.queue_spec("team-blue", queue_share({**quota, resource: "77"}), LABELS)
        assert not says(manifest, more), f"{resource} of {amount} is not capped"
        assert says(manifest, adapter.queue_spec("team-blue", queue_share(quota), LABELS))


def test_a_guarantee_is_written_where_there_is_one(adapter: SchedulerAdapter) -> None:
    plain = queue_share({"cpu": "4"}, {"cpu": "8"})
    promised = queue_share({"cpu": "4"}, {"cpu": "8"}, {"cpu": "6"})
    assert "guarantee" not in str(adapter.queue_spec("team-blue", plain, LABELS))
    assert "guarantee" in str(adapter.queue_spec("team-blue", promised, LABELS))


def test_what_a_queue_says_is_read_back_by_its_parts(adapter: SchedulerAdapter) -> None:
    quota = {"cpu": "2500m", "memory": "8Gi", "nvidia.com/gpu": "2"}
    limits, guaranteed = {"cpu": "5", "memory": "8Gi"}, {"cpu": "4", "memory": "1Gi"}
    share = queue_share(quota, limits, guaranteed)
    told = adapter.amounts(adapter.queue_spec("team-blue", share, LABELS))
    assert differences(quota, told["capability"]) == {}
    assert differences({"cpu": "2", "memory": "1Gi"}, told["guarantee"]) == {}
    assert told["guarantee"]["memory"] == "1Gi"  # for people, whatever the scheduler's own units
    without = adapter.amounts(adapter.queue_spec("team-blue", queue_share(quota), LABELS))
    assert not without["guarantee"]
    assert not any(adapter.amounts(None).values())


@pytest.mark.parametrize(
    "text", ["[" * 20000, "partitions: []", "just words", "a: [", "partitions: {0: 1}", "&a [*a]"]
)
def test_yunikorns_queues_as_an_owner_may_write_them_are_read_as_nothing(text: str) -> None:
    assert not any(ADAPTERS["yunikorn"].amounts({"data": {"queues.yaml": text}}).values())


def test_nothing_named_means_nothing_capped(adapter: SchedulerAdapter) -> None:
    free = adapter.queue_spec("team-blue", queue_share({}), LABELS)
    for word in ("cpu", "vcore", "memory"):
        assert word not in str(free)


def test_it_says_nothing_of_a_gang_it_has_not_seen(adapter: SchedulerAdapter) -> None:
    assert adapter.explain("main", []) == ""


def test_volcano_tells_in_the_pod_groups_last_condition() -> None:
    def group(name: str, status: str) -> dict[str, Any]:
        said = {"type": "Unschedulable", "status": status, "message": f"{name} does not fit"}
        return {"metadata": {"name": name}, "status": {"conditions": [said]}}

    volcano = ADAPTERS["volcano"]
    told = [group("ray-other-pg", "True"), group("ray-main-pg", "True")]
    assert volcano.explain("main", told) == "ray-main-pg does not fit"
    assert volcano.explain("main", [group("ray-main-pg", "False")]) == ""
