"""The event stream: read as the standard says, and taken up again where it broke."""

import time
from itertools import repeat

import httpx2
import pytest

from atoll.client import Atoll
from atoll.client.events import Frame
from atoll.errors import ForbiddenError, StaleWriteError, UnavailableError
from fakes.atoll_api import FakeApi, Stream, event, events, virtual_cluster

PATH = "virtual-clusters/lab/events"


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)


def follow(api: FakeApi, count: int, after: str | None = None) -> list[str]:
    found: list[str] = []
    for seen in Atoll("http://atoll", "t", api.transport).events.follow("lab", after=after):
        if seen is not None:
            found.append(seen.id)
        if len(found) == count:
            break
    return found


def test_frames() -> None:
    frame = Frame()
    lines = ["id: 5", "event: x", "data: one", "data:two", ": a sign of life", ""]
    assert [frame.take(line) for line in lines] == [None] * 5 + ["one\ntwo"]
    assert frame.id == "5"
    assert frame.take("") is None


def test_a_broken_connection_is_taken_up_after_the_last_event() -> None:
    api, lab = FakeApi(), virtual_cluster("lab")
    api.when(
        "GET", PATH,
        events(event("1", lab), event("2", lab), error=httpx2.ReadError("gone")),
        events(event("3", lab)),
        events(event("4", lab)),
    )  # fmt: skip
    assert follow(api, 4) == ["1", "2", "3", "4"]
    assert [r.headers.get("last-event-id") for r in api.asked] == [None, "2", "3"]


def test_half_an_event_is_not_seen() -> None:
    api, lab = FakeApi(), virtual_cluster("lab")
    whole = event("2", lab)
    api.when("GET", PATH, events(event("1", lab), whole[:-20]), events(whole))
    assert follow(api, 2) == ["1", "2"]


def test_too_long_ago_starts_with_the_present() -> None:
    api, lab = FakeApi(), virtual_cluster("lab")
    gone = StaleWriteError("too old", code="expired")
    api.when("GET", PATH, gone, events(event("9", lab)))
    assert follow(api, 1, after="3") == ["9"]
    assert [r.headers.get("last-event-id") for r in api.asked] == ["3", None]


def test_an_api_that_starts_anew_is_waited_for() -> None:
    api, lab = FakeApi(), virtual_cluster("lab")
    api.when("GET", PATH, UnavailableError("soon"), events(event("1", lab)))
    assert follow(api, 1) == ["1"]


def test_no_right_is_no_reason_to_try_again() -> None:
    api = FakeApi()
    api.when("GET", PATH, ForbiddenError("no"))
    with pytest.raises(ForbiddenError):
        follow(api, 1)
    assert len(api.asked) == 1


@pytest.mark.parametrize("lines", [1, 10**9], ids=["short streams", "one that never ends"])
def test_the_deadline_ends_it(lines: int) -> None:
    api = FakeApi()
    headers = {"Content-Type": "text/event-stream"}
    stream = Stream(repeat(": nothing\n\n", lines))
    api.when("GET", PATH, lambda _: httpx2.Response(200, headers=headers, stream=stream))
    client = Atoll("http://atoll", "t", api.transport)
    began = time.monotonic()
    seen = list(client.events.follow("lab", deadline=began + 0.05))
    assert set(seen) == {None}
    assert time.monotonic() - began < 30  # it would wait for ever
