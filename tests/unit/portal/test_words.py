"""Words for steps, reasons, amounts and times."""

import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.portal import words
from atoll.portal.bars import quota_bar, quota_bars
from atoll.portal.times import clock, duration, parse_time
from atoll.resources.meta import Condition
from atoll_worker.reconcile.steps import all_steps


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"), (0.42, "0.4 s"), (9.97, "10 s"), (40, "40 s"), (59.6, "1 min"), (125, "2 min 5 s"),
        (3600, "1 h"), (3780, "1 h 3 min"), (86399.9, "1 d"), (273600, "3 d 4 h"), (None, ""),
    ],
)  # fmt: skip
def test_durations_have_units(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


@given(st.floats(min_value=0, max_value=1e9))
def test_a_duration_is_never_without_a_unit(seconds: float) -> None:
    assert re.fullmatch(r"(\d+(\.\d)?|\d+) (s|min|h|d)( \d+ (s|min|h))?", duration(seconds))


def test_times_are_told_in_utc() -> None:
    assert clock("2026-11-21T05:56:49.123+01:00") == "21 Nov 2026, 04:56:49 UTC"
    assert clock(None) == ""
    assert parse_time("2026-11-21T04:56:49Z") == datetime(2026, 11, 21, 4, 56, 49, tzinfo=UTC)


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        ("WaitingForAdmitted", "Waits until this is so: The team's quota is reserved"),
        ("NotLookedYet", "Nobody has looked yet"),
        ("WaitingForControlPlane", "Waits until this is so: The Kubernetes API of the virtual "
         "cluster answers"),
        ("WaitingForSomethingNew", "Waiting for something new"),
        ("CNIBroken", "CNI broken"),
    ],
)  # fmt: skip
def test_reasons_become_words_and_unknown_ones_are_not_hidden(reason: str, text: str) -> None:
    assert words.reason_words(reason) == text


def test_conditions_are_statements() -> None:
    told = words.condition_words(Condition(type="RedisReady", status="False", reason="Starting"))
    assert (told.claim, told.answer, told.why) == (
        "Redis keeps the state of Ray heads", "No", "Starting",
    )  # fmt: skip
    waits = Condition(
        type="QueueReady",
        reason="WaitingForControlPlane",
        message="Begins when ControlPlane is true",
    )
    assert words.condition_words(waits).more == ""
    whole = Condition(
        type="Ready",
        status="True",
        reason="Ready",
        message="Everything that was asked for is there",
    )
    assert words.condition_words(whole).more == ""
    failed = Condition(type="RedisReady", status="False", reason="Refused", message="No such image")
    ready = Condition(
        type="Ready", status="False", reason="Refused", message="Start Redis: No such image"
    )
    assert words.condition_words(ready, [ready, failed]).more == ""
    assert words.condition_words(failed, [ready, failed]).more == "No such image"
    assert words.condition_words(ready, [ready]).more == "Start Redis: No such image"
    unknown = words.condition_words(Condition(type="BrandNewThing"))
    assert (unknown.claim, unknown.answer) == ("Brand new thing", "Not known yet")


@pytest.mark.parametrize(
    ("taken", "limit", "level", "text", "percent", "note"),
    [
        ("0", "16", "ok", "0 of 16 cores used", 0, "16 cores left"),
        ("11999m", "16", "ok", "11.999 of 16 cores used", 74, "4.001 cores left"),
        ("12", "16", "near", "12 of 16 cores used", 75, "Only 4 cores left"),
        ("16", "16", "full", "16 of 16 cores used", 100, "Nothing is left"),
        ("20", "16", "over", "20 of 16 cores used", 125, "4 cores over the limit"),
        ("1", "0", "over", "1 of 0 cores used", 100, "1 core over the limit"),
        ("3", None, "open", "3 cores used, no limit of its own", None, ""),
    ],
)
def test_bars_warn_at_75_percent_and_say_the_numbers(
    taken: str, limit: str | None, level: str, text: str, percent: int | None, note: str
) -> None:
    bar = quota_bar("cpu", taken, limit, "used")
    assert (bar.level, bar.percent, bar.text, bar.note) == (level, percent, text, note)


def test_mixed_units_keep_both() -> None:
    assert quota_bar("memory", "512Mi", "2Gi", "used").text == "512 MiB of 2 GiB used"
    assert quota_bar("memory", "1536Mi", "2Gi", "used").text == "1.5 of 2 GiB used"


def test_bars_come_in_a_known_order_and_cover_both_sides() -> None:
    bars = quota_bars(
        {"pods": "1", "requests.cpu": "1"}, {"requests.cpu": "2", "x.io/y": "1"}, "used"
    )
    assert [b.resource for b in bars] == ["cpu", "pods", "x.io/y"]


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_bar_never_leaves_its_frame(taken: int, limit: int) -> None:
    bar = quota_bar("pods", str(taken), str(limit), "used")
    assert 0 <= bar.width <= 100
    assert (bar.level == "over") == (taken > limit)


def test_every_step_of_the_worker_has_words() -> None:
    for step in all_steps():
        found = words.find_step(step.name)
        assert found is not None, step.name
        assert words.find_step(step.condition) is not None, step.condition
        assert words.step_words(step.name, step.title) == found.doing
