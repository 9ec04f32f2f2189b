"""The feed: what listeners get, over a scripted API server."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from atoll.application.callers import Caller
from atoll.application.events import Audience, Subscription, VirtualClusterFeed
from atoll.errors import StaleWriteError, UnavailableError

ADMIN = Caller("a", frozenset({"admin"}))


def item(name: str, revision: int, *, uid: str | None = None, team: str = "t") -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "uid": uid or f"uid-{name}",
            "generation": 1,
            "resourceVersion": str(revision),
        },
        "spec": {"team": team},
    }


class Script:
    """An API server that lists and then tells what it was given; an error breaks the watch."""

    def __init__(self) -> None:
        self.listing: tuple[list[dict[str, Any]], str] = ([], "1")
        self.changes: asyncio.Queue[tuple[str, dict[str, Any]] | Exception] = asyncio.Queue()
        self.lists = 0
        self.watched_since: list[str | None] = []

    async def items_at(self, *_: Any) -> tuple[list[dict[str, Any]], str]:
        self.lists += 1
        return self.listing

    async def watch(
        self, _: Any, since: str | None = None
    ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        self.watched_since.append(since)
        while True:
            change = await self.changes.get()
            if isinstance(change, Exception):
                raise change
            yield change


class World:
    """A feed that runs."""

    def __init__(self) -> None:
        self.script = Script()
        self.feed = VirtualClusterFeed(self.script)  # type: ignore[arg-type]

    async def __aenter__(self) -> "World":
        self.task = asyncio.create_task(self.feed.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def tell(self, change: str, found: dict[str, Any]) -> None:
        self.script.changes.put_nowait((change, found))


async def read(subscription: Subscription) -> tuple[str, str, int]:
    event = await subscription.next(asyncio.get_running_loop().time() + 3)
    assert event
    assert json.loads(event.data)["id"] == str(event.id)
    return event.type.removeprefix("virtual-cluster."), event.name, event.id


async def test_present_state_in_order_then_changes_for_the_right_audience() -> None:
    async with World() as world:
        world.script.listing = ([item("b", 5), item("a", 7), item("other", 6, team="x")], "9")
        async with world.feed.subscribe(Audience(ADMIN, team="t")) as subscription:
            assert [await read(subscription) for _ in range(2)] == [
                ("changed", "b", 5),
                ("changed", "a", 7),
            ]
            world.tell("MODIFIED", item("other", 10, team="x"))
            world.tell("MODIFIED", item("b", 11))
            world.tell("DELETED", item("a", 12))
            assert [await read(subscription) for _ in range(2)] == [
                ("changed", "b", 11),
                ("deleted", "a", 12),
            ]
        stranger = Audience(Caller("s"))
        async with world.feed.subscribe(stranger) as subscription:
            assert await subscription.next(asyncio.get_running_loop().time() + 0.05) is None


async def test_resumes_after_an_id_and_starts_over_when_it_is_too_old() -> None:
    async with World() as world:
        world.script.listing = ([item("a", 5)], "9")
        async with world.feed.subscribe(Audience(ADMIN)) as subscription:
            await read(subscription)
            for revision in (10, 11, 12):
                world.tell("MODIFIED", item("a", revision))
                await read(subscription)
        async with world.feed.subscribe(Audience(ADMIN), after=11) as subscription:
            assert await read(subscription) == ("changed", "a", 12)
        for after in (3, 99):
            async with world.feed.subscribe(Audience(ADMIN), after=after) as subscription:
                assert await read(subscription) == ("changed", "a", 12)


async def test_a_broken_watch_goes_on_where_it_was_and_an_expired_one_lists_again() -> None:
    async with World() as world:
        world.script.listing = ([item("a", 5), item("b", 6)], "9")
        async with world.feed.subscribe(Audience(ADMIN)) as subscription:
            await read(subscription)
            await read(subscription)
            world.tell("MODIFIED", item("a", 10))
            assert await read(subscription) == ("changed", "a", 10)
            world.script.listing = ([item("a", 10), item("b", 6)], "10")
            world.script.changes.put_nowait(UnavailableError("away"))
            world.tell("MODIFIED", item("a", 11))
            assert await read(subscription) == ("changed", "a", 11)
            assert world.script.watched_since == ["9", "10"]
            # While it was away, b went and a was made anew under the same name.
            world.script.listing = ([item("a", 14, uid="new")], "15")
            world.script.changes.put_nowait(StaleWriteError("old", code="expired"))
            found = [await read(subscription) for _ in range(3)]
            assert found == [("deleted", "a", 13), ("changed", "a", 14), ("deleted", "b", 15)]
            assert world.feed.is_gone("uid-a")
            assert not world.feed.is_gone("new")


async def test_what_was_written_here_is_seen_at_once_and_never_comes_back_from_the_dead() -> None:
    async with World() as world:
        async with world.feed.subscribe(Audience(ADMIN)) as subscription:
            world.feed.observe(item("a", 5))
            assert [v.name for v in world.feed.items()] == ["a"]
            world.tell("ADDED", item("a", 4))
            world.tell("MODIFIED", item("a", 5))
            world.tell("DELETED", item("a", 6))
            assert [await read(subscription) for _ in range(3)] == [
                ("changed", "a", 4),
                ("changed", "a", 5),
                ("deleted", "a", 6),
            ]
        world.feed.observe(item("a", 5))
        assert world.feed.items() == []


async def test_an_own_write_does_not_overtake_what_another_wrote_before() -> None:
    async with World() as world:
        async with world.feed.subscribe(Audience(ADMIN)) as subscription:
            # Ours is written after the other's and known here before the watch brings either.
            world.feed.observe(item("ours", 11))
            world.tell("ADDED", item("other", 10))
            assert await read(subscription) == ("changed", "other", 10)
        async with world.feed.subscribe(Audience(ADMIN)) as newcomer:
            assert await read(newcomer) == ("changed", "other", 10)
            world.tell("ADDED", item("ours", 11))
            assert await read(newcomer) == ("changed", "ours", 11)
        async with world.feed.subscribe(Audience(ADMIN), after=10) as resumed:
            assert await read(resumed) == ("changed", "ours", 11)


async def test_who_breaks_off_in_a_gap_is_told_all_of_it() -> None:
    async with World() as world:
        world.script.listing = ([item(name, 5) for name in "abc"], "9")
        async with world.feed.subscribe(Audience(ADMIN)) as subscription:
            assert len([await read(subscription) for _ in range(3)]) == 3
            world.tell("MODIFIED", item("c", 10))
            assert await read(subscription) == ("changed", "c", 10)
            # While the watch is away c changes, and a and b end.
            world.script.listing = ([item("c", 12)], "15")
            world.script.changes.put_nowait(StaleWriteError("old", code="expired"))
            everything = [("changed", "c", 12), ("deleted", "a", 15), ("deleted", "b", 15)]
            assert [await read(subscription) for _ in range(3)] == everything
        for after, missed in ((10, everything), (12, everything[1:]), (15, everything[1:])):
            async with world.feed.subscribe(Audience(ADMIN), after=after) as again:
                assert [await read(again) for _ in missed] == missed


async def test_own_writes_that_ended_unseen_are_forgotten() -> None:
    async with World() as world:
        world.script.listing = ([item("a", 5)], "9")
        async with world.feed.subscribe(Audience(ADMIN)) as subscription:
            await read(subscription)
            world.feed.observe(item("b", 10))
            world.script.listing = ([item("a", 12)], "15")
            world.script.changes.put_nowait(StaleWriteError("old", code="expired"))
            assert await read(subscription) == ("changed", "a", 12)
        assert [v.name for v in world.feed.items()] == ["a"]
        assert world.feed.is_gone("uid-b")


async def test_an_api_server_that_went_back_in_time_is_followed() -> None:
    async with World() as world:
        world.script.listing = ([item("a", 50), item("b", 51)], "60")
        async with world.feed.subscribe(Audience(ADMIN)) as subscription:
            assert [(await read(subscription))[1] for _ in range(2)] == ["a", "b"]
            world.script.listing = ([item("a", 20)], "30")
            world.script.changes.put_nowait(UnavailableError("away"))
            assert await subscription.next(asyncio.get_running_loop().time() + 3) is None
        while not world.feed.synced:
            await asyncio.sleep(0.01)
        async with world.feed.subscribe(Audience(ADMIN), after=51) as again:
            assert await read(again) == ("changed", "a", 20)
        assert [v.name for v in world.feed.items()] == ["a"]


async def test_a_listener_that_does_not_read_is_let_go() -> None:
    async with World() as world, world.feed.subscribe(Audience(ADMIN)) as subscription:
        for revision in range(2, 400):
            world.tell("MODIFIED", item("a", revision))
        async with asyncio.timeout(3):
            while not subscription.closed:
                await asyncio.sleep(0)
        async with world.feed.subscribe(Audience(ADMIN)) as current:
            while (await read(current))[2] < 399:
                pass
        read_ids = []
        while event := await subscription.next(asyncio.get_running_loop().time() + 1):
            read_ids.append(event.id)
        assert read_ids == list(range(2, 2 + len(read_ids)))
        assert len(read_ids) >= 256
        async with world.feed.subscribe(Audience(ADMIN), after=read_ids[-1]) as again:
            assert (await read(again))[2] == read_ids[-1] + 1


async def test_close_wakes_everybody() -> None:
    async with World() as world, world.feed.subscribe(Audience(ADMIN)) as subscription:
        waiting = asyncio.create_task(subscription.next(asyncio.get_running_loop().time() + 60))
        await asyncio.sleep(0)
        world.feed.close()
        assert await asyncio.wait_for(waiting, 1) is None


async def test_a_broken_object_does_not_stop_the_others() -> None:
    async with World() as world:
        broken = item("bad", 5)
        broken["spec"]["quota"] = {"cpu": "no"}
        world.script.listing = ([broken, item("good", 6)], "9")
        async with world.feed.subscribe(Audience(ADMIN)) as subscription:
            assert await read(subscription) == ("changed", "good", 6)
