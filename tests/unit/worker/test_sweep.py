"""When the sweeper hints."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from atoll.settings import Settings
from atoll_worker.sweep import Known, State, Sweeper, due, state_of

WALL = datetime(2026, 1, 1, tzinfo=UTC)


def item(
    *,
    ready: bool = False,
    retry_in: float | None = None,
    generation: int = 1,
    reason: str = "Ready",
    quota: str = "1",
    phase: str = "Failed",
) -> dict[str, Any]:
    retry = (WALL + timedelta(seconds=retry_in)).isoformat() if retry_in is not None else None
    truth = "True" if ready else "False"
    condition = {"type": "Ready", "status": truth, "reason": reason, "observedGeneration": 1}
    status = {
        "observedGeneration": 1, "conditions": [condition], "retryAt": retry, "phase": phase,
    }  # fmt: skip
    return {
        "metadata": {"name": "x", "generation": generation},
        "spec": {"team": "t", "quota": {"cpu": quota}},
        "status": status,
    }


def known(hinted: float, **stored: Any) -> Known:
    return Known(state_of(item(**stored)), since=0.0, hinted=hinted)


def test_a_converged_one_is_left_alone_until_the_resync() -> None:
    assert not due(known(ready=True, hinted=0), 299, WALL, 300)
    assert due(known(ready=True, hinted=0), 300, WALL, 300)


def test_an_open_one_is_hinted_at_again_soon_and_later_less_often() -> None:
    assert due(known(ready=False, hinted=10), 11.6, WALL, 300)
    assert not due(known(ready=False, hinted=10), 11.2, WALL, 300)
    assert not due(known(ready=False, hinted=200), 203, WALL, 300)
    assert due(known(ready=False, hinted=200), 206, WALL, 300)


def test_one_that_leaves_is_looked_at_more_often_for_its_waits_are_short_and_many() -> None:
    stored = item()
    stored["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    leaving = Known(state_of(stored), since=0.0, hinted=10)
    assert due(leaving, 10.8, WALL, 300)
    assert not due(leaving, 10.2, WALL, 300)


def test_a_failing_one_waits_for_its_time_unless_the_wish_changed() -> None:
    assert not due(known(ready=False, hinted=0, retry_in=5), 60, WALL, 300)
    assert due(known(ready=False, hinted=0, retry_in=-1), 60, WALL, 300)
    assert due(known(ready=False, hinted=0, retry_in=5, generation=2), 60, WALL, 300)


def test_one_that_cannot_be_read_is_hinted_at_until_its_status_says_so() -> None:
    assert state_of(item(quota="much")) == State(1, converged=False, at_rest=False, team="t")
    told = {"quota": "much", "reason": "StoredInvalid"}
    assert state_of(item(**told)) == State(1, converged=False, at_rest=True, team="t")
    assert not state_of(item(**told, generation=2)).at_rest  # of an older wish
    assert due(known(**told, generation=2, hinted=0), 60, WALL, 300)
    assert not due(known(**told, hinted=0), 60, WALL, 300)


async def test_what_was_written_is_looked_at_once_more_and_then_left_alone() -> None:
    """A hint that meets a writer at work is dropped, and what the writer had read may be older."""
    sweeper = Sweeper(None, None, Settings())  # type: ignore[arg-type]
    for version in ("1", "2"):
        stored = item(ready=True)
        stored["metadata"]["resourceVersion"] = version
        sweeper._learn("MODIFIED", stored)
    known, now = sweeper._known["x"], asyncio.get_running_loop().time()
    assert not due(known, now + 0.5, WALL, 300)
    assert due(known, now + 1.5, WALL, 300)
    known.hinted = now + 1.5
    assert not due(known, now + 60, WALL, 300)
    # A watch that was cut tells all anew: a thousand that nobody wrote must not be looked at in one go.
    sweeper._learn("MODIFIED", stored)
    assert not due(known, now + 60, WALL, 300)
