"""Whose work a line of the log is about, outside a look at one virtual cluster."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, cast

import pytest
from structlog.contextvars import bound_contextvars, merge_contextvars
from structlog.testing import capture_logs

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import POD_GROUP
from atoll.dispatch import Dispatch
from atoll.domain import gangs, names
from atoll.errors import ConflictError, ForbiddenError
from atoll.settings import Settings
from atoll_worker.adapters.redis_store import RedisStores
from atoll_worker.mirror import leader
from atoll_worker.mirror.pictures import Picture
from atoll_worker.mirror.tenant import Tenant, Ticket
from atoll_worker.reconcile.ports import GcsStore
from atoll_worker.store_figures import StoreFiguresReader
from atoll_worker.sweep import Sweeper
from atoll_worker.watch import Watcher, _quota, _wish

WHOSE = {"team": "red", "virtual_cluster": "lab"}
TICKET = Ticket("lab", "red", "1", {})
LABELS = {names.LABEL_TEAM: "red", names.LABEL_VIRTUAL_CLUSTER: "lab"}
Lines = list[Any]


@contextmanager
def captured() -> Iterator[Lines]:
    """Lines as they are written, with what is bound at that time."""
    with capture_logs(processors=[merge_contextvars]) as lines:
        yield lines


def whose(lines: Lines) -> dict[str, dict[str, str]]:
    """By event, the keys in question."""
    return {line["event"]: {k: line[k] for k in WHOSE if k in line} for line in lines}


class Host:
    """Has a namespace without a note, and refuses gangs."""

    async def get(self, _kind: object, name: str) -> Object:
        return {"metadata": {"name": name}}

    async def patch(self, _kind: object, _name: str, change: Object) -> Object:
        return change

    async def apply(self, _manifest: Object) -> None:
        raise ForbiddenError("a policy of the host")


class Inside:
    """A virtual cluster with these gangs, in which nothing changes."""

    def __init__(self, specs: dict[str, Any]) -> None:
        self._gangs = [
            {"metadata": {"name": name, "namespace": "ray", "labels": {names.LABEL_TEAM: "blue"}},
             "spec": spec}
            for name, spec in specs.items()
        ]  # fmt: skip

    async def items_at(self, *_: object, **__: object) -> tuple[list[Object], str]:
        return self._gangs, "1"

    async def watch(self, *_: object, **__: object) -> AsyncIterator[tuple[str, Object]]:
        await asyncio.Event().wait()
        yield "", {}

    async def patch(self, _kind: object, _name: str, change: Object, _namespace: str) -> Object:
        return change


async def test_lines_of_the_mirror_say_whose_gangs_they_are_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    inside = Inside({"bad": "no mapping", "good": {"minMember": 2}, "over": {"minMember": 2}})

    @asynccontextmanager
    async def opened(_config: Object) -> AsyncIterator[Inside]:
        yield inside

    monkeypatch.setattr(Cluster, "from_dict", opened)
    monkeypatch.setattr(gangs, "MOST_GANGS", 2)
    host = cast(Cluster, Host())
    outside = Picture(host, POD_GROUP, lambda _: None)
    outside.synced.set()
    with captured() as lines:
        running = asyncio.create_task(leader._run(Tenant(host, TICKET, outside, 1), TICKET))
        wanted = {"mirror.gang_failed", "mirror.gang", "mirror.no_room"}
        async with asyncio.timeout(30):
            while not wanted <= {line["event"] for line in lines}:
                assert not running.done()
                await asyncio.sleep(0.01)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    assert whose(lines) == dict.fromkeys(wanted, WHOSE)


async def test_a_mirror_that_fails_altogether_says_whose_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Broken:
        async def run(self) -> None:
            raise RuntimeError("odd")

    monkeypatch.setattr(leader, "_FAULT_SECONDS", 0)
    with captured() as lines:
        await leader._run(cast(Tenant, Broken()), TICKET)
    assert whose(lines) == {"mirror.tenant": WHOSE}


async def test_an_object_that_cannot_be_read_says_whose_it_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stumble(_: Object) -> None:
        raise ValueError("odd")

    # The sweeper reads whatever we know to write; this stands for what we do not know.
    monkeypatch.setattr("atoll_worker.sweep.state_of", stumble)
    sweeper = Sweeper(cast(Cluster, None), cast(Dispatch, None), Settings())
    watcher = Watcher(cast(Cluster, None), cast(Dispatch, None))
    stored = {"metadata": {"name": "lab", "uid": "u-1"}, "spec": {"team": "red"}, "status": "none"}
    with captured() as lines:
        sweeper._learn_safely("ADDED", stored)
        await watcher._tell(stored, _wish)
    assert whose(lines) == {"sweep.unreadable": WHOSE, "watch.unreadable": WHOSE}
    place = {"name": "quota", "uid": "u-2", "namespace": "vc-lab"}
    with captured() as lines:
        await watcher._tell({"metadata": place}, _quota)  # somebody has taken its labels away
    assert whose(lines) == {"watch.unreadable": {"virtual_cluster": "lab"}}


@pytest.mark.parametrize("spec", [None, "nothing", {"team": None}, {"team": ["red"]}])
async def test_what_says_no_team_is_told_without_one(spec: Any) -> None:
    watcher = Watcher(cast(Cluster, None), cast(Dispatch, None))
    with captured() as lines:
        await watcher._tell(
            {"metadata": {"name": "lab", "uid": "u"}, "spec": spec, "status": 1}, _wish
        )
    assert whose(lines) == {"watch.unreadable": {"virtual_cluster": "lab"}}


def test_labels_inside_do_not_say_whose_a_gang_is() -> None:
    def stumble(_: Object) -> None:
        raise ValueError("odd")

    forged = {names.LABEL_TEAM: "blue", names.LABEL_VIRTUAL_CLUSTER: "other"}
    with captured() as lines:
        picture = Picture(cast(Cluster, None), POD_GROUP, stumble)
        picture._tell({"metadata": {"name": "a", "namespace": "vc-lab", "labels": LABELS}})
        with bound_contextvars(**WHOSE):
            inside = Picture(cast(Cluster, None), POD_GROUP, stumble)
            inside._tell({"metadata": {"name": "a", "namespace": "ray", "labels": forged}})
    assert [line["name"] for line in lines] == ["vc-lab/a", "ray/a"]
    assert [whose([line]) for line in lines] == [{"mirror.unreadable": WHOSE}] * 2


class Stores(RedisStores):
    """One Redis that breaks, and one to which there is no way."""

    def own(self, _instances: object, password: str) -> GcsStore:
        if password == "none":
            raise ConflictError("no way")

        class Broken:
            async def figures(self) -> None:
                raise RuntimeError("odd")

        return cast(GcsStore, Broken())


async def test_figures_of_redis_say_whose_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = StoreFiguresReader(cast(Cluster, Clusters()), Settings(reach="kubeconfig"))
    reader._stores = Stores()
    reader._passwords = {"lab": "one", "den": "none"}
    monkeypatch.setattr("atoll_worker.store_figures.played_instances", lambda item: [item])
    with captured() as lines:
        assert await reader.read() == {}
    assert whose(lines) == {
        "figures.unreadable": {"team": "blue", "virtual_cluster": "odd"},
        "figures.no_way": {"team": "green", "virtual_cluster": "den"},
        "figures.one_failed": WHOSE,
    }


class Clusters:
    """The host's lists for three virtual clusters, of which one cannot be read."""

    async def items(self, kind: Any, **_: object) -> list[Object]:
        if kind.kind == "VirtualCluster":
            specs: dict[str, Object] = {
                "lab": {"team": "red"}, "den": {"team": "green"}, "odd": {"team": "blue", "quota": 1},
            }  # fmt: skip
            return [{"metadata": {"name": name}, "spec": spec} for name, spec in specs.items()]
        if kind.kind == "Service":
            return [{"metadata": {"name": "redis", "namespace": f"vc-{n}"}} for n in ("lab", "den")]
        return []
