"""What the worker refuses at the door, for those who do not ask the API."""

from typing import Any, cast

import pytest

from atoll.cluster.client import Cluster
from atoll.resources.profiles import Profile
from atoll.resources.teams import Team
from atoll.resources.virtual_clusters import VirtualCluster
from atoll.settings import Settings
from atoll_worker.reconcile.outcome import Done, Failed
from atoll_worker.reconcile.ports import OpenStore, Releases
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.steps.admission import Admission

CHART = {"repository": "https://charts.example", "name": "c", "version": "1.9.0"}
RESERVED = {"virtualclusters": "1"}


def scope(scheduler: str, allowed: list[str], present: str | None = None) -> Scope:
    profile: dict[str, Any] = {
        "kubernetes": {"version": "1.36.3"}, "vcluster": {"chart": CHART}, "kuberay": {"chart": CHART},
        "scheduler": {"name": scheduler, "chart": CHART}, "ray": {"version": "2.60.0"},
    }  # fmt: skip
    return Scope(
        vc=VirtualCluster.model_validate({
            "metadata": {"name": "x"}, "spec": {"team": "blue", "profile": "p"},
            "status": {"scheduler": present},
        }),
        team=Team.model_validate({"metadata": {"name": "blue"}, "spec": {"schedulers": allowed}}),
        profile=Profile.model_validate({"metadata": {"name": "p"}, "spec": profile}),
        host=cast(Cluster, None), settings=Settings(), releases=cast(Releases, None),
        open_store=cast(OpenStore, None), host_kubeconfig=None,
    )  # fmt: skip


def test_a_scheduler_that_is_not_allowed_is_refused_with_those_that_are() -> None:
    asked = scope("yunikorn", ["volcano"])
    outcome = Admission().judge(asked, None)
    assert isinstance(outcome, Failed)
    assert (outcome.reason, outcome.permanent) == ("SchedulerNotAllowed", True)
    assert outcome.message.startswith("Profile 'p' has the scheduler yunikorn, which team 'blue'")
    assert "it may use: volcano." in outcome.message
    assert Admission().plan(asked, None) == []
    assert Admission().facts(asked, None) == {}


@pytest.mark.parametrize("allowed", [[], ["yunikorn"], ["volcano", "yunikorn"]])
def test_it_keeps_the_one_it_was_let_in_with(allowed: list[str]) -> None:
    asked = scope("yunikorn", allowed)
    assert isinstance(Admission().judge(asked, RESERVED), Done)
    assert Admission().facts(asked, None) == {}  # nothing reserved, nothing decided
    assert Admission().facts(asked, RESERVED) == {"scheduler": "yunikorn"}
    later = scope("yunikorn", ["volcano"], present="yunikorn")
    assert isinstance(Admission().judge(later, RESERVED), Done)


def test_another_one_under_a_living_virtual_cluster_is_refused() -> None:
    outcome = Admission().judge(scope("yunikorn", [], present="volcano"), RESERVED)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "SchedulerChanged"
