"""One object that cannot be read stops nothing of the others: figures, hints, gangs."""

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from structlog.testing import capture_logs

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import POD_GROUP
from atoll.dispatch import Dispatch
from atoll.settings import Settings
from atoll_worker.malformed import Complaints
from atoll_worker.mirror.pictures import Picture
from atoll_worker.sweep import Known, Sweeper, due, state_of
from atoll_worker.usage import Usage, gauges, holding_of
from atoll_worker.watch import Watcher

MALFORMED: list[Any] = [
    {"quota": "all", "team": "red"},
    {"quota": {"cpu": {"limit": "1"}}, "team": "red"},
    {"quota": ["cpu"], "team": None},
    "nothing",
]


def virtual_cluster(name: str, spec: Any, status: Any = None) -> Object:
    return {
        "metadata": {"name": name, "uid": name, "generation": 1},
        "spec": spec,
        "status": status,
    }


def team(name: str, **status: Any) -> Object:
    spec = {"quota": {"cpu": {"limit": "8"}}}
    return {"metadata": {"name": name}, "spec": spec, "status": status}


class Host:
    """Takes statuses of teams."""

    def __init__(self) -> None:
        self.told: dict[str, Object] = {}
        self.wrote = asyncio.Event()

    async def replace(self, manifest: Object, *, status: bool) -> Object:
        assert status
        self.told[manifest["metadata"]["name"]] = manifest["status"]
        self.wrote.set()
        return manifest


async def nobody(_: str) -> None:
    """Takes hints."""


@pytest.mark.parametrize("spec", MALFORMED)
def test_what_a_virtual_cluster_holds_is_what_can_be_read_of_it(spec: Any) -> None:
    odd = holding_of(virtual_cluster("odd", spec, {"used": "much"}))
    sound = holding_of(virtual_cluster("sound", {"team": "red", "quota": {"cpu": "2"}}))
    told = gauges([team("red")], {"odd": odd, "sound": sound})
    assert told["limit", "red", "sound", "cpu"] == 2
    assert ("limit", "red", "odd", "cpu") not in told


@pytest.mark.parametrize(
    "status",
    [
        {"reservations": {"lab": {"cpu": "many"}}},
        {"reservations": {"lab": "cpu"}},
        {"reservations": ["lab"]},
    ],
)
async def test_a_team_whose_ledger_cannot_be_read_keeps_no_other_from_its_figures(
    status: Any,
) -> None:
    host = Host()
    usage = Usage(cast(Cluster, host), nobody)
    usage._teams = {"odd": team("odd", **status), "red": team("red")}
    usage.learn(virtual_cluster("lab", {"team": "red"}, {"used": {"cpu": "3"}}))
    summing = asyncio.create_task(usage._sum_up())
    wrote = asyncio.create_task(host.wrote.wait())
    with capture_logs() as logs:
        await asyncio.wait({summing, wrote}, return_when=asyncio.FIRST_COMPLETED)
    assert not summing.done()
    assert host.told["red"]["used"]["cpu"] == "3"
    assert "odd" not in host.told
    assert [line["team"] for line in logs if line["log_level"] == "warning"] == ["odd"]
    for task in (summing, wrote):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("spec", MALFORMED)
async def test_the_sweeper_learns_of_those_after_one_that_cannot_be_read(spec: Any) -> None:
    sweeper = Sweeper(cast(Cluster, None), cast(Dispatch, None), Settings())
    for item in (
        virtual_cluster("odd", spec, {"conditions": "none"}),
        virtual_cluster("sound", {"team": "red"}),
    ):
        sweeper._learn_safely("ADDED", item)
    assert "sound" in sweeper._known


@pytest.mark.parametrize("text", ["soon", "2026-11-21T12:00:00", ""])
def test_a_time_of_the_next_try_that_is_none_is_now(text: str) -> None:
    item = virtual_cluster("a", {"team": "red"}, {"observedGeneration": 1, "retryAt": text})
    known = Known(state_of(item), 0.0)
    assert due(known, 10.0, datetime(2027, 1, 1, tzinfo=UTC), 600.0)


async def test_who_listens_to_a_picture_may_stumble_over_one_object() -> None:
    heard: list[str] = []

    def listen(item: Object) -> None:
        heard.append(item["metadata"]["labels"]["name"])

    picture = Picture(cast(Cluster, None), POD_GROUP, listen)
    sound = {"metadata": {"name": "b", "labels": {"name": "b"}}}
    picture._replace([{"metadata": {"name": "a"}}, sound])
    assert heard == ["b"]
    assert len(picture.items) == 2


async def test_the_watcher_passes_over_what_it_cannot_read() -> None:
    hinted: list[str] = []

    class Queue:
        async def send(self, _kind: str, name: str, _generation: int) -> bool:
            hinted.append(name)
            return True

    watcher = Watcher(cast(Cluster, None), cast(Dispatch, Queue()))
    for name in ("odd", "sound"):
        item = virtual_cluster(name, {})
        await watcher._tell(item, lambda it: (({"sound": "s"})[it["metadata"]["name"]], "x"))
    assert hinted == ["s"]


def test_a_complaint_is_told_once_until_it_is_another() -> None:
    complaints = Complaints("odd")
    with capture_logs() as logs:
        for text in ("a", "a", "b"):
            complaints.tell("lab", ValueError(text))
        complaints.settle("lab")
        complaints.tell("lab", ValueError("b"))
    assert len(logs) == 3
