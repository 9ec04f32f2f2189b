"""One sentence of state, and rows with real times."""

from datetime import UTC, datetime
from typing import Any

from atoll.contract.operations import OperationRef
from atoll.contract.virtual_clusters import VirtualClusterRead
from atoll.portal.timeline import state_of, timeline_of
from builders.timeline import ago, status_at

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


def read(status: dict[str, Any], **more: Any) -> VirtualClusterRead:
    return VirtualClusterRead.model_validate(
        {
            "name": "lab", "uid": "u", "revision": "1", "generation": 1, "createdAt": ago(3, NOW),
            "spec": {"team": "science"}, "status": status,
            "operation": OperationRef(id="u.1", href="/v1/operations/u.1"), **more,
        }
    )  # fmt: skip


def test_nobody_has_looked_yet() -> None:
    state = state_of(read({}), NOW)
    assert (state.tone, state.text, state.elapsed) == (
        "calm",
        "Accepted; a worker takes it next",
        "3 s",
    )


def test_a_running_step_is_named_and_counted() -> None:
    state = state_of(read(status_at("operator", now=NOW)), NOW)
    assert (state.tone, state.text, state.elapsed) == (
        "busy",
        "Installing KubeRay, step 9 of 16",
        "5 s",
    )
    assert state.more == "0 of 1 ready"


def test_a_failure_says_why_and_when_it_is_tried_again() -> None:
    status = status_at("operator", failed="no such chart", now=NOW) | {
        "retryAt": ago(-12, NOW),
        "failures": 3,
    }
    state = state_of(read(status), NOW)
    assert state.text == "Failed: installing KubeRay, step 9 of 16"
    assert state.more == "no such chart. Tried 3 times; next try in 12 s."


def test_a_retry_that_is_due_is_never_in_the_past() -> None:
    status = status_at("operator", failed="x", now=NOW) | {"retryAt": ago(30, NOW), "failures": 1}
    assert "next try in 0 s" in state_of(read(status), NOW).more


def test_ready_counts_since_it_became_so() -> None:
    state = state_of(read(status_at(now=NOW)), NOW)
    assert (state.tone, state.text, state.joint, state.elapsed) == (
        "good",
        "Ready to use",
        " for ",
        "5 s",
    )


def test_a_new_wish_on_a_ready_cluster_is_not_called_ready() -> None:
    state = state_of(read(status_at(now=NOW), generation=2), NOW)
    assert (state.tone, state.text) == ("busy", "A change was accepted; a worker takes it next")


def test_a_failure_that_is_tried_again_is_no_verdict() -> None:
    status = status_at("operator", failed="timed out", now=NOW) | {
        "phase": "Provisioning",
        "failures": 1,
    }
    state = state_of(read(status | {"retryAt": ago(-2, NOW)}), NOW)
    assert (state.tone, state.text) == ("warn", "Trying again: installing KubeRay, step 9 of 16")
    assert state.more == "timed out. Tried once; next try in 2 s."


def test_deletion_is_told_as_such() -> None:
    asked = read(status_at(now=NOW), deletingSince=ago(2, NOW), generation=2)
    assert state_of(asked, NOW).text == "Deletion was asked for; a worker takes it next"
    assert not timeline_of(asked, NOW).rows  # those of the creation are none of the deletion's


def test_deletion_goes_backwards_through_the_steps_it_has_come_to() -> None:
    steps = status_at(now=NOW)["steps"][11:]
    steps[0] |= {"state": "running", "reason": "Removing", "startedAt": ago(1, NOW)}
    vc = read(
        {"phase": "Deleting", "observedGeneration": 1, "steps": steps}, deletingSince=ago(9, NOW)
    )
    assert state_of(vc, NOW).text == "Removing admission policies, step 5 of 16"
    rows = timeline_of(vc, NOW).rows
    assert [r.title for r in rows] == [
        "Stopping the probe", "Removing the users of Redis", "Stopping Ray clusters",
        "Letting go of the quota", "Removing admission policies",
    ]  # fmt: skip


def test_degraded_says_what_is_not_so() -> None:
    status = status_at(now=NOW) | {"phase": "Degraded"}
    status["conditions"][-1] |= {"status": "False", "message": "RedisReady: 0 of 1 pods ready"}
    state = state_of(read(status), NOW)
    assert (state.tone, state.more) == ("warn", "RedisReady: 0 of 1 pods ready")


def test_rows_have_real_times_on_one_scale() -> None:
    line = timeline_of(read(status_at("operator", now=NOW)), NOW)
    assert (line.done, len(line.rows), line.total, line.finished) == (8, 16, "21 s", False)
    first, running, waiting = line.rows[0], line.rows[8], line.rows[9]
    assert (first.took, first.left) == ("2 s", 0.0)
    assert (running.took, running.left, running.width) == ("5 s", 76.19, 23.81)
    assert running.running_since
    assert (waiting.took, waiting.width) == ("", 0.0)
    assert all(row.left + row.width <= 100.01 for row in line.rows)


def test_a_finished_timeline_ends_with_its_last_step() -> None:
    line = timeline_of(read(status_at(now=NOW)), NOW)
    assert line.finished
    assert line.total == "32 s"


def test_no_steps_yet() -> None:
    line = timeline_of(read({}), NOW)
    assert (line.rows, line.total, line.finished) == ([], "", False)
