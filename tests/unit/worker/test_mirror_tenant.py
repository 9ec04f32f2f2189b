"""What one gang does to the others of its virtual cluster on the way to the host."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import POD_GROUP
from atoll.domain import gangs, names
from atoll.errors import ForbiddenError
from atoll_worker.mirror import tenant as tenant_module
from atoll_worker.mirror.pictures import Picture
from atoll_worker.mirror.tenant import Tenant, Ticket


class Host:
    """Takes what is written to it, and keeps the note of whose the names are."""

    def __init__(self) -> None:
        self.applied: list[str] = []
        self.notes: list[str] = []
        self.refuses = False
        self.tries = 0

    async def apply(self, manifest: Object) -> None:
        self.applied.append(manifest["metadata"]["name"])

    async def patch(self, _kind: object, _name: str, change: Object) -> None:
        self.tries += 1
        if self.refuses:
            raise ForbiddenError("a policy of the host")
        self.notes.append(change["metadata"]["annotations"][names.ANNOTATION_GANGS] or "")

    async def delete(self, _kind: object, name: str, _namespace: str) -> bool:
        self.applied.remove(name)
        return True


class Inside:
    """The virtual cluster's API server: keeps what is told of each gang."""

    def __init__(self) -> None:
        self.told: dict[str, Object] = {}
        self.writes = 0

    async def patch(self, _kind: object, name: str, change: Object, _namespace: str) -> Object:
        self.told[name] = change["status"]
        self.writes += 1
        return change

    def said(self, name: str) -> str:
        return str(self.told[name]["conditions"][0]["reason"])


class World:
    """One virtual cluster's mirror between a host and an inside that only remember."""

    def __init__(self) -> None:
        self.host, self.inside = Host(), Inside()
        host = cast(Cluster, self.host)
        outside = Picture(host, POD_GROUP, lambda _: None)
        self.tenant = Tenant(host, Ticket("lab", "red", "1", {}), outside, 1)
        self.picture = Picture(cast(Cluster, self.inside), POD_GROUP, lambda _: None)

    def make(self, name: str, spec: Any = None, namespace: str = "ray") -> None:
        meta = {"name": name, "namespace": namespace}
        self.picture.put({"metadata": meta, "spec": spec or {"minMember": 2}})
        self.tenant.poke(name)

    def end(self, name: str, namespace: str = "ray") -> None:
        self.picture.drop((namespace, name))
        self.tenant.poke(name)

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        work = asyncio.create_task(self.tenant._work(cast(Cluster, self.inside), self.picture))
        try:
            yield
            assert not work.done()
        finally:
            work.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work


async def turns(count: int = 200) -> None:
    """Let the loop run; nothing here waits for anything but its turn."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_one_that_cannot_be_read_does_not_keep_the_others_from_the_host() -> None:
    world = World()
    world.make("bad", "no mapping")
    world.make("good")
    async with world.working():
        await turns()
    assert world.host.applied == ["good"]


async def test_the_note_is_never_longer_than_its_limit_and_the_rest_gets_its_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gangs, "CLAIMS_LIMIT", 3 * gangs.claim_bytes("gang-0", "ray") + 1)
    world = World()
    for at in range(6):
        world.make(f"gang-{at}")
    async with world.working():
        await turns()
        assert world.host.applied == ["gang-0", "gang-1", "gang-2"]
        assert [world.inside.said(f"gang-{at}") for at in (3, 4, 5)] == ["TooManyGangs"] * 3
        writes = world.inside.writes, world.host.tries
        await turns()
        assert (world.inside.writes, world.host.tries) == writes
        world.end("gang-1")
        world.end("gang-2")
        await turns()
    assert world.host.applied[3:] == ["gang-3", "gang-4"]
    assert gangs.read_claims(world.host.notes[-1]).keys() == {"gang-0", "gang-3", "gang-4"}
    assert max(map(len, world.host.notes)) <= gangs.CLAIMS_LIMIT


async def test_the_host_gets_no_more_gangs_of_one_than_it_may_have(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gangs, "MOST_GANGS", 2)
    world = World()
    for name in ("one", "two", "six"):
        world.make(name)
    async with world.working():
        await turns()
        assert world.host.applied == ["one", "two"]
        assert world.inside.said("six") == "TooManyGangs"
        world.end("one")
        await turns()
    assert gangs.read_claims(world.host.notes[-1]) == {"two": "ray", "six": "ray"}


async def test_one_that_waited_for_room_and_went_is_passed_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gangs, "CLAIMS_LIMIT", gangs.claim_bytes("one", "ray") + 1)
    world = World()
    for name in ("one", "two", "six"):
        world.make(name)
    async with world.working():
        await turns()
        world.picture.drop(("ray", "two"))
        world.end("one")
        await turns()
    assert gangs.read_claims(world.host.notes[-1]) == {"six": "ray"}


async def test_what_the_host_refuses_for_good_is_asked_ever_more_seldom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    world = World()
    world.host.refuses = True

    def later(gang: str, seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) < 9:
            world.tenant.poke(gang)

    monkeypatch.setattr(world.tenant, "_poke_later", later)
    world.make("unwanted")
    async with world.working():
        await turns()
    longest = tenant_module._FAULT_SECONDS
    assert pauses == [1, 2, 4, 8, 16, longest, longest, longest, longest]
