"""The status that a pass leaves: what people see."""

from datetime import UTC, datetime, timedelta
from typing import Any

from atoll.resources.virtual_clusters import VirtualCluster
from atoll_worker.reconcile.engine import PassResult, StepRun
from atoll_worker.reconcile.outcome import Done, Failed, Outcome, Wait
from atoll_worker.reconcile.status import LONGEST_DELAY, differs, known_run, next_status
from atoll_worker.reconcile.step import Step

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


class A(Step):
    name, title, condition = "a", "Do a", "AReady"


class B(Step):
    name, title, condition = "b", "Do b", "BReady"


def cluster(generation: int = 1, **status: Any) -> VirtualCluster:
    return VirtualCluster.model_validate(
        {
            "metadata": {"name": "x", "uid": "u", "generation": generation},
            "spec": {"team": "t"},
            "status": status,
        }
    )


def result(a: Outcome, b: Outcome, blocked: bool = False) -> PassResult:
    return PassResult(
        [
            StepRun(A(), a, began="2026-01-02T03:04:01.000Z", ended="2026-01-02T03:04:02.000Z"),
            StepRun(
                B(), b, blocked, began="2026-01-02T03:04:03.000Z", ended="2026-01-02T03:04:04.000Z"
            ),
        ]
    )


def ready_of(vc: VirtualCluster) -> tuple[str, str]:
    condition = vc.condition("Ready")
    return condition.status, condition.reason


def after(vc: VirtualCluster, res: PassResult, now: datetime = NOW) -> VirtualCluster:
    status = next_status(vc, res, now)
    return vc.model_copy(update={"status": status})


def test_ready_only_when_every_step_is() -> None:
    vc = after(cluster(), result(Done(), Wait("Starting", "0 of 1")))
    assert ready_of(vc) == ("False", "Starting")
    assert vc.condition("Ready").message == "Do b: 0 of 1"
    assert vc.status.phase == "Provisioning"
    vc = after(vc, result(Done(), Done()))
    assert ready_of(vc) == ("True", "Ready")
    assert vc.status.phase == "Ready"
    assert vc.converged


def test_a_permanent_failure_speaks_before_everything_else() -> None:
    failed = Failed("QuotaExceeded", "too much", permanent=True, who="admin")
    vc = after(cluster(), result(Wait("Slow", ""), failed))
    assert ready_of(vc) == ("False", "QuotaExceeded")
    assert vc.status.phase == "Failed"


def test_blocked_steps_are_unknown_and_have_not_begun() -> None:
    vc = after(cluster(), result(Wait("Slow", ""), Wait("WaitingForA", ""), blocked=True))
    assert vc.condition("BReady").status == "Unknown"
    assert vc.status.steps[1].state == "waiting"
    assert vc.status.steps[1].started_at is None


def test_times_of_a_done_step_stay_and_a_long_one_keeps_its_start() -> None:
    vc = after(cluster(), result(Done(), Wait("Starting", "")))
    later = PassResult(
        [StepRun(A(), Done(), began="L1", ended="L2"), StepRun(B(), Done(), began="L3", ended="L4")]
    )
    again = after(vc, later)
    assert again.status.steps[0] == vc.status.steps[0]
    assert again.status.steps[1].started_at == vc.status.steps[1].started_at
    assert again.status.steps[1].finished_at == "L4"


def test_a_condition_keeps_its_transition_time_until_its_status_changes() -> None:
    vc = after(cluster(), result(Done(), Wait("Starting", "0 of 1")))
    again = after(vc, result(Done(), Wait("Starting", "1 of 2")), NOW + timedelta(minutes=5))
    old, new = vc.condition("BReady"), again.condition("BReady")
    assert new.message == "1 of 2"
    assert new.last_transition_time == old.last_transition_time


def test_what_was_ready_and_is_no_longer_is_degraded_but_a_new_wish_is_provisioning() -> None:
    ready = after(cluster(), result(Done(), Done()))
    broken = result(Done(), Wait("Starting", ""))
    assert after(ready, broken).status.phase == "Degraded"
    ready.metadata.generation = 2
    assert after(ready, broken).status.phase == "Provisioning"


def test_the_timeline_of_a_deletion_begins_anew() -> None:
    ready = after(cluster(), result(Done(), Done()))
    ready.metadata.deletion_timestamp = "2026-01-02T03:05:00Z"
    gone = PassResult([StepRun(B(), Done("Gone"), began="D1", ended="D2")])
    status = after(ready, gone).status
    assert status.phase == "Deleting"
    assert (status.steps[0].started_at, status.steps[0].finished_at) == ("D1", "D2")


def test_retries_slow_down_and_end_with_success() -> None:
    vc, waits = cluster(), []
    for _ in range(9):
        vc = after(vc, result(Done(), Failed("HelmFailed", "x", delay=2)))
        assert vc.status.retry_at
        waits.append((datetime.fromisoformat(vc.status.retry_at) - NOW).total_seconds())
    assert waits[:3] == [2, 4, 8]
    assert waits[-1] == LONGEST_DELAY
    vc = after(vc, result(Done(), Done()))
    assert vc.status.retry_at is None
    assert vc.status.failures == 0


def test_what_nothing_tells_of_is_looked_for_at_a_steady_pace() -> None:
    """Also beside another failure, whose pauses grow."""
    missing = Failed("RedisSecretMissing", "x", permanent=True, who="admin", recheck=4.0)
    vc = cluster()
    for other in (Done(), Failed("HelmFailed", "y", delay=20), *[Done()] * 7):
        vc = after(vc, result(other, missing))
        assert vc.status.retry_at
        assert (datetime.fromisoformat(vc.status.retry_at) - NOW).total_seconds() == 4


def test_when_to_try_again_is_not_worth_a_write_and_a_message_is() -> None:
    vc = after(cluster(), result(Done(), Failed("HelmFailed", "x")))
    same = after(vc, result(Done(), Failed("HelmFailed", "x")), NOW)
    assert vc.status.retry_at != same.status.retry_at
    assert not differs(vc.status, same.status)
    other = after(vc, result(Done(), Failed("HelmFailed", "y")))
    assert differs(vc.status, other.status)


def test_what_the_status_says_of_a_step_comes_back_as_it_was() -> None:
    vc = after(cluster(), result(Done("There"), Wait("Starting", "0 of 1"), blocked=True))
    first, second = known_run(vc, A()), known_run(vc, B())
    assert first
    assert second
    assert first.outcome == Done("There")
    assert (second.outcome, second.blocked) == (Wait("Starting", "0 of 1"), True)
    assert known_run(cluster(), A()) is None
    assert not differs(vc.status, next_status(vc, PassResult([first, second]), NOW))
