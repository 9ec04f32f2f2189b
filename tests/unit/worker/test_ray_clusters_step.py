"""What the condition RayClustersReady says of a Ray cluster that no node can hold, and the way out."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from atoll.cluster.kinds import RAY_CLUSTER
from atoll.domain.nodes import HostNode
from atoll.resources.profiles import Profile
from atoll.resources.virtual_clusters import RayClusterSpec, VirtualCluster
from atoll_worker.reconcile.outcome import Done, Failed, Put, Remove, Wait
from atoll_worker.reconcile.steps.ray_clusters import RayClusters, Seen

CHART = {"repository": "https://charts.example", "name": "c", "version": "1"}
PROFILE = Profile.model_validate(
    {
        "metadata": {"name": "p"},
        "spec": {
            "kubernetes": {"version": "1.36.3"}, "vcluster": {"chart": CHART},
            "kuberay": {"chart": CHART}, "scheduler": {"chart": CHART}, "ray": {"version": "2.60.0"},
        },
    }
)  # fmt: skip
NODES = (HostNode("n1", "4c8g", "a", size={"cpu": "3800m", "memory": "7Gi"}),)


def scope(**cluster: Any) -> Any:
    spec = {
        "team": "red", "replicaSets": {"4c8g": 1}, "rayClusters": [{"name": "main"} | cluster],
    }  # fmt: skip
    vc = VirtualCluster.model_validate({"metadata": {"name": "a"}, "spec": spec})
    return SimpleNamespace(vc=vc, refusals={})


def test_one_that_no_node_can_hold_is_a_failure_with_the_numbers() -> None:
    told = RayClusters().judge(scope(workerCpu="6"), Seen(True, {}, {}, NODES))
    assert isinstance(told, Failed)
    assert (told.reason, told.permanent, told.who) == ("LargerThanAnyNode", True, "team owner")
    assert "main: each worker asks for 6 of cpu" in told.message
    assert "3800m" in told.message


def test_one_that_fits_waits_for_its_pods() -> None:
    told = RayClusters().judge(scope(), Seen(True, {}, {"main": "1 of 2 placed"}, NODES))
    assert told == Wait("RayClustersStarting", "main: 1 of 2 placed")


def test_one_that_runs_is_not_judged_by_nodes_that_shrank() -> None:
    running = {"metadata": {"generation": 1}, "status": {"state": "ready", "observedGeneration": 1}}
    told = RayClusters().judge(scope(workerCpu="6"), Seen(True, {"main": running}, {}, NODES))
    assert isinstance(told, Done)


def test_one_that_is_not_let_in_is_told_and_holds_up_no_other() -> None:
    """A RayJob has its name, for instance; a refusal that was raised would end the look."""
    one = scope(name="one")
    one.vc.spec.ray_clusters = [RayClusterSpec(name="one"), RayClusterSpec(name="two")]
    one.versions = PROFILE
    planned = RayClusters().plan(one, Seen(True, {}, {}, NODES))
    assert [(p.manifest["metadata"]["name"], p.refusable) for p in planned if isinstance(p, Put)] == [
        ("one", True), ("two", True),
    ]  # fmt: skip
    one.refusals["RayCluster", "ray", "one"] = "There is a RayJob one in this namespace"
    running = {"metadata": {"generation": 1}, "status": {"state": "ready", "observedGeneration": 1}}
    told = RayClusters().judge(one, Seen(True, {"two": running}, {}, NODES))
    assert isinstance(told, Failed)
    assert (told.reason, told.permanent, told.who) == ("RayClusterRefused", False, "team owner")
    assert "one (There is a RayJob one in this namespace)" in told.message
    one.refusals.clear()
    assert isinstance(RayClusters().judge(one, Seen(True, {"two": running}, {}, NODES)), Wait)


def deleted(seconds_ago: float) -> Any:
    since = datetime.now(UTC) - timedelta(seconds=seconds_ago)
    found = scope()
    found.vc.metadata.deletion_timestamp = since.isoformat(timespec="seconds")
    return found


def test_an_owner_who_refuses_to_let_ray_go_holds_up_the_deletion_for_a_while_only() -> None:
    left = [(RAY_CLUSTER, {"metadata": {"name": "stuck", "namespace": "ray"}})]
    step = RayClusters()
    assert step.remove_plan(deleted(5), left) == [Remove(RAY_CLUSTER, "stuck", "ray", inside=True)]
    assert isinstance(step.removed(deleted(5), left), Wait)
    # Asking again would raise what admission inside answers, each time anew.
    assert step.remove_plan(deleted(90), left) == []
    assert isinstance(step.removed(deleted(90), left), Done)
