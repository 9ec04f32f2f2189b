"""The summary of conditions, by property and by example."""

from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.domain.conditions import Status, Summary, phase_of, summarise
from atoll.resources.meta import Condition

ORDER = ["Admitted", "NamespaceReady", "ProbeReady"]
statuses = st.sampled_from(get_args(Status))


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from([*ORDER, "Other"]), statuses))
def test_ready_is_true_exactly_when_every_step_is(found: dict[str, Status]) -> None:
    summary = summarise([Condition(type=t, status=s) for t, s in found.items()], ORDER)
    assert (summary.status == "True") == all(found.get(name) == "True" for name in ORDER)
    if "False" in [found.get(name) for name in ORDER]:
        assert summary.status == "False"


def test_the_first_that_is_false_speaks() -> None:
    conditions = [
        Condition(type="ProbeReady", status="False", reason="NoAnswer", message="refused"),
        Condition(type="Admitted", status="True", reason="Reserved"),
    ]
    assert summarise(conditions, ORDER) == Summary("False", "NoAnswer", "ProbeReady: refused")
    assert summarise(conditions[1:], ORDER).reason == "NotLookedYet"


def test_phases() -> None:
    ready, waiting = Summary("True", "AllStepsDone", ""), Summary("False", "NoAnswer", "")
    fresh = Summary("Unknown", "NotLookedYet", "")
    plain = {"deleting": False, "failed": False, "was_ready": False}
    assert phase_of(ready, **plain) == "Ready"
    assert phase_of(ready, **{**plain, "deleting": True}) == "Deleting"
    assert phase_of(waiting, **{**plain, "failed": True}) == "Failed"
    assert phase_of(waiting, **{**plain, "was_ready": True}) == "Degraded"
    assert phase_of(waiting, **plain) == "Provisioning"
    assert phase_of(fresh, **plain) == "Pending"
