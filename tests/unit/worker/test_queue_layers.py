"""A queue that lags says in what part and by how much, inside and on the host."""

from types import SimpleNamespace
from typing import Any

import pytest

from atoll.cluster.client import Object
from atoll.domain.queue_shares import differences
from atoll.resources.profiles import Profile
from atoll.resources.teams import Team
from atoll.resources.virtual_clusters import VirtualCluster
from atoll_worker.reconcile.outcome import Done, Wait
from atoll_worker.reconcile.queue_layers import host_queue_spec, lags, queue_layers
from atoll_worker.reconcile.schedulers import ADAPTERS
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.steps.host_queue import HostQueue
from atoll_worker.reconcile.steps.queue import Queue
from atoll_worker.reconcile.steps.quota import Quota

CHART = {"repository": "https://charts.example", "name": "c", "version": "1.9.0"}
LINES = {"cpu": {"limit": "8", "guaranteed": "4"}, "memory": {"limit": "16Gi"}}


def scope(mode: str = "shared", scheduler: str = "volcano") -> Any:
    """A virtual cluster with half of what its team has, of which half is guaranteed: 2 CPU are kept."""
    spec: Any = {"team": "red", "mode": mode, "quota": {"cpu": "4", "memory": "8Gi"}}
    made: Any = SimpleNamespace(
        vc=VirtualCluster.model_validate({"metadata": {"name": "a"}, "spec": spec}),
        team=Team.model_validate({"metadata": {"name": "red"}, "spec": {"quota": LINES}}),
        versions=Profile.model_validate({"metadata": {"name": "p"}, "spec": {
            "kubernetes": {"version": "1.36.3"}, "vcluster": {"chart": CHART},
            "ray": {"version": "2.60.0"}, "kuberay": {"chart": CHART},
            "scheduler": {"name": scheduler, "chart": CHART},
        }}),
        labels=lambda step: {"step": step},
    )  # fmt: skip
    made.queue_share = Scope.queue_share.fget(made)  # type: ignore[attr-defined]
    return made


def host_queue(looked: Any, **change: Any) -> Object:
    spec = {**host_queue_spec(looked), **change}
    return {"metadata": {"name": "vc-a"}, "spec": spec, "status": {"state": "Open"}}


def test_the_hosts_queue_tells_what_is_kept_free_for_it() -> None:
    looked = scope()
    assert HostQueue().judge(looked, host_queue(looked)) == Done(
        "vc-a: at most cpu 4, memory 8Gi; kept free for it: cpu 2"
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"guarantee": None}, "guarantee: cpu 2 wanted, none found"),
        ({"guarantee": {"resource": {"cpu": "1"}}}, "guarantee: cpu 2 wanted, 1 found"),
        ({"guarantee": {"resource": {"cpu": "2", "memory": "1Gi"}}},
         "guarantee: memory none wanted, 1Gi found"),
        ({"deserved": {"cpu": "9"}}, "deserved: cpu none wanted, 9 found"),
        ({"capability": {"cpu": "4", "memory": "2Gi"}}, "capability: memory 8Gi wanted, 2Gi found"),
    ],
)  # fmt: skip
def test_a_part_of_the_hosts_queue_that_lags_is_named_with_both_numbers(
    change: dict[str, Any], words: str
) -> None:
    looked = scope()
    told = HostQueue().judge(looked, host_queue(looked, **change))
    assert told == Wait("LayerLags", f"the host's queue vc-a, {words}")


@pytest.mark.parametrize("scheduler", sorted(ADAPTERS))
def test_a_queue_inside_whose_guarantee_lags_is_named_with_both_numbers(scheduler: str) -> None:
    looked = scope("dedicated", scheduler)
    wanted = Queue()._manifest(looked)
    assert Queue().judge(looked, (True, wanted)) == Done("team-red")
    without = type(looked.queue_share)(looked.queue_share.capability, looked.queue_share.deserved)
    looked_at = ADAPTERS[scheduler].queue_spec("team-red", without, looked.labels("queue"))
    told = Queue().judge(looked, (True, looked_at))
    assert told == Wait(
        "LayerLags", "the queue team-red inside, guarantee: cpu 2 wanted, none found"
    )
    assert Queue().judge(looked, (True, None)) == Wait("Making", "The queue is not there yet")


@pytest.mark.parametrize("mode", ["shared", "dedicated"])
async def test_the_quota_agrees_only_when_the_guarantee_does(mode: str) -> None:
    looked = scope(mode)
    inside = Queue()._manifest(looked) if mode == "dedicated" else host_queue(looked)

    class There:
        async def find(self, *_: object) -> Object:
            return inside

    async def connected() -> There:
        return There()

    looked.host, looked.inside = There(), connected
    layers = Quota()._host_queue_layers if mode == "shared" else Quota()._queue_layers
    assert lags(await layers(looked)) == ""
    del inside["spec"]["guarantee"]
    assert lags(await layers(looked)).endswith("guarantee: cpu 2 wanted, none found")


def test_a_queue_that_is_missing_lags_in_all_its_parts_and_no_others() -> None:
    told = lags(queue_layers("it", {"capability": {"cpu": "2"}, "guarantee": {}}, {}))
    assert told == "it, capability: cpu 2 wanted, none found"


def test_what_is_no_quantity_lags_and_is_shown() -> None:
    assert differences({"cpu": "2"}, {"cpu": "much"}) == {"cpu": ("2", "much")}
