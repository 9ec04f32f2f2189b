"""What the worker refuses at the door, for those who do not ask the API."""

from typing import Any, cast

import pytest

from atoll.cluster.client import Cluster
from atoll.cluster.reservations import Held
from atoll.resources.profiles import Profile
from atoll.resources.teams import Team
from atoll.resources.virtual_clusters import VirtualCluster
from atoll.settings import Settings
from atoll_worker.reconcile.outcome import Done, Failed, Wait
from atoll_worker.reconcile.ports import Releases, Stores
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.steps.admission import Admission

CHART = {"repository": "https://charts.example", "name": "c", "version": "1.9.0"}
NOTHING = Held(None, anywhere=False, limits={})
RESERVED = Held({"virtualclusters": "1"}, anywhere=True, limits={})


def scope(scheduler: str, allowed: list[str], present: str | None = None, **spec: Any) -> Scope:
    profile: dict[str, Any] = {
        "kubernetes": {"version": "1.36.3"}, "vcluster": {"chart": CHART}, "kuberay": {"chart": CHART},
        "scheduler": {"name": scheduler, "chart": CHART}, "ray": {"version": "2.60.0"},
    }  # fmt: skip
    return Scope(
        vc=VirtualCluster.model_validate({
            "metadata": {"name": "x"}, "spec": {"team": "blue", "profile": "p", **spec},
            "status": {"scheduler": present},
        }),
        team=Team.model_validate({"metadata": {"name": "blue"}, "spec": {"schedulers": allowed}}),
        profile=Profile.model_validate({"metadata": {"name": "p"}, "spec": profile}),
        host=cast(Cluster, None), settings=Settings(), releases=cast(Releases, None),
        stores=cast(Stores, None), host_kubeconfig=None,
    )  # fmt: skip


def test_a_scheduler_that_is_not_allowed_is_refused_with_those_that_are() -> None:
    asked = scope("yunikorn", ["volcano"])
    outcome = Admission().judge(asked, NOTHING)
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent) == ("SchedulerNotAllowed", True)
    assert outcome.message.startswith("Profile 'p' has the scheduler yunikorn, which team 'blue'")
    assert "it may use: volcano." in outcome.message
    assert Admission().plan(asked, NOTHING) == []
    assert Admission().facts(asked, NOTHING) == {}


@pytest.mark.parametrize("allowed", [[], ["yunikorn"], ["volcano", "yunikorn"]])
def test_it_keeps_the_one_it_was_let_in_with(allowed: list[str]) -> None:
    asked = scope("yunikorn", allowed)
    assert isinstance(Admission().judge(asked, RESERVED), Done)
    assert Admission().facts(asked, NOTHING) == {}  # nothing reserved, nothing decided
    assert Admission().facts(asked, RESERVED) == {
        "scheduler": "yunikorn",
        "gcs_store": "own",
    }
    later = scope("yunikorn", ["volcano"], present="yunikorn")
    assert isinstance(Admission().judge(later, RESERVED), Done)


def test_another_one_under_a_living_virtual_cluster_is_refused() -> None:
    outcome = Admission().judge(scope("yunikorn", [], present="volcano"), RESERVED)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "SchedulerChanged"


def refusal(seen: Held, **spec: Any) -> tuple[str, str, str]:
    asked = scope("volcano", [], **spec)
    outcome = Admission().judge(asked, seen)
    assert isinstance(outcome, Failed)
    assert outcome.permanent
    assert Admission().plan(asked, seen) == []
    return outcome.reason, outcome.who, outcome.message


def test_a_team_whose_parents_make_no_tree_lets_nothing_in() -> None:
    seen = Held(None, anywhere=False, limits={}, broken="there is no team 'gone'")
    assert refusal(seen) == ("TeamTreeBroken", "admin", "there is no team 'gone'")


def test_what_a_team_above_limits_must_be_named_too() -> None:
    reason, who, message = refusal(Held(None, anywhere=False, limits={"pods": "9"}))
    assert (reason, who) == ("QuotaNotNamed", "you")
    assert "pods" in message


def test_a_quota_that_is_less_than_its_ray_clusters_need_is_told_with_the_numbers() -> None:
    clusters = [{"name": "main", "workers": 3}]
    reason, who, message = refusal(NOTHING, quota={"cpu": "3", "pods": "4"}, rayClusters=clusters)
    assert (reason, who) == ("QuotaTooSmall", "you")
    assert "cpu: 3500m needed, 3 named" in message
    assert "pods" not in message


def test_what_is_held_anywhere_is_given_back_first() -> None:
    half = Held(None, anywhere=True, limits={})
    assert len(Admission().remove_plan(scope("volcano", []), half)) == 1
    assert isinstance(Admission().removed(scope("volcano", []), half), Wait)
    assert Admission().remove_plan(scope("volcano", []), NOTHING) == []
    assert isinstance(Admission().removed(scope("volcano", []), NOTHING), Done)


EXTERNAL = {"address": "10.0.8.1:6379", "secret": "theirs"}


@pytest.mark.parametrize(
    ("kept", "wanted", "told"),
    [("own", EXTERNAL, "10.0.8.1:6379"), ("10.0.8.1:6379", None, "a Redis of its own")],
)
def test_it_keeps_the_store_it_was_let_in_with(kept: str, wanted: object, told: str) -> None:
    asked = scope("volcano", [])
    assert asked.profile
    redis = asked.profile.spec.redis.model_validate({"external": wanted})
    asked.profile.spec.redis = redis
    assert isinstance(Admission().judge(asked, RESERVED), Done)
    assert Admission().facts(asked, RESERVED)["gcs_store"] == redis.place
    asked.vc.status.gcs_store = kept
    outcome = Admission().judge(asked, RESERVED)
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.who) == ("StoreChanged", "team owner")
    assert told in outcome.message
    assert Admission().plan(asked, NOTHING) == []
