"""Which scheduler a virtual cluster may have, and what a Ray workload carries for it."""

from typing import get_args

import pytest

from atoll.domain.schedulers import (
    SCHEDULERS,
    VOLCANO,
    YUNIKORN,
    scheduler_named,
    scheduler_problem,
)
from atoll.resources.profiles import SchedulerName


def test_profiles_may_name_exactly_those_there_are() -> None:
    assert set(get_args(SchedulerName)) == set(SCHEDULERS)


def test_an_unknown_one_is_refused_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="no scheduler 'slurm'; there are volcano, yunikorn"):
        scheduler_named("slurm")


def test_the_labels_of_a_ray_cluster() -> None:
    assert VOLCANO.labels("team-blue") == {"volcano.sh/queue-name": "team-blue"}
    assert YUNIKORN.labels("team-blue") == {
        "yunikorn.apache.org/queue": "root.team-blue",
        "ray.io/gang-scheduling-enabled": "true",
    }


def problem(name: str, **changed: object) -> tuple[str, str] | None:
    asked: dict[str, object] = {"mode": "dedicated", "team": "blue", "allowed": [], "present": None}
    found = scheduler_problem(name, **{**asked, **changed})  # type: ignore[arg-type]
    return (found.reason, found.text) if found else None


@pytest.mark.parametrize("name", sorted(SCHEDULERS))
def test_an_empty_list_allows_all(name: str) -> None:
    assert problem(name) is None
    assert problem(name, allowed=[name]) is None


def test_one_that_is_not_on_the_list_is_refused_with_those_that_are() -> None:
    found = problem("yunikorn", allowed=["volcano"])
    assert found is not None
    assert found[0] == "SchedulerNotAllowed"
    assert "team 'blue' may not use; it may use: volcano" in found[1]


def test_what_runs_stays_when_the_list_changes() -> None:
    assert problem("yunikorn", allowed=["volcano"], present="yunikorn") is None


def test_what_runs_cannot_be_handed_over() -> None:
    found = problem("yunikorn", present="volcano")
    assert found is not None
    assert found[0] == "SchedulerChanged"
    assert "Choose a profile with volcano, or make a new virtual cluster" in found[1]


def test_shared_mode_is_for_those_the_host_can_run() -> None:
    assert problem("volcano", mode="shared") is None
    found = problem("yunikorn", mode="shared")
    assert found is not None
    assert found[0] == "SchedulerNotShared"
    assert "Choose mode dedicated, or a profile with volcano" in found[1]
