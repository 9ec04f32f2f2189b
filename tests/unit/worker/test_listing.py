"""The steps of a pass share one list of Ray clusters, and none of them sees one from before a change."""

import asyncio
from typing import Any, cast

import pytest

from atoll.cluster.client import Cluster, InitializingError
from atoll.errors import NotFoundError, UnavailableError
from atoll_worker.reconcile.carry_out import carry_out
from atoll_worker.reconcile.listing import RayClusterList
from atoll_worker.reconcile.outcome import Remove
from atoll_worker.reconcile.scope import Scope


class Inside:
    """Lists what is there when it is told to answer."""

    def __init__(self, *names: str) -> None:
        self.names, self.lists = list(names), 0
        self.error: Exception | None = None
        self.answer = asyncio.Event()
        self.answer.set()

    async def items(self, _kind: object) -> list[dict[str, Any]]:
        self.lists += 1
        found = [{"metadata": {"name": name}} for name in self.names]
        await self.answer.wait()
        if self.error:
            raise self.error
        return found


async def read(listing: RayClusterList, inside: Inside) -> list[str] | None:
    found = await listing.read(cast(Cluster, inside))
    return None if found is None else [one["metadata"]["name"] for one in found]


async def test_three_steps_are_one_list() -> None:
    inside, listing = Inside("a"), RayClusterList()
    inside.answer.clear()
    asked = [asyncio.create_task(read(listing, inside)) for _ in range(3)]
    await asyncio.sleep(0)
    inside.answer.set()
    assert await asyncio.gather(*asked) == [["a"]] * 3
    assert inside.lists == 1


async def test_after_a_change_it_is_listed_anew() -> None:
    inside, listing = Inside("a"), RayClusterList()
    assert await read(listing, inside) == ["a"]
    inside.names = ["b"]
    assert await read(listing, inside) == ["a"]
    listing.changed()
    assert await read(listing, inside) == ["b"]


async def test_a_list_that_was_under_way_at_a_change_is_used_no_further() -> None:
    inside, listing = Inside("a"), RayClusterList()
    inside.answer.clear()
    early = asyncio.create_task(read(listing, inside))
    await asyncio.sleep(0)
    inside.names = ["a", "b"]
    listing.changed()
    inside.answer.set()
    assert await early == ["a"]
    assert await read(listing, inside) == ["a", "b"]


@pytest.mark.parametrize("error", [NotFoundError("no kind"), InitializingError("soon")])
async def test_a_kind_that_is_not_served_is_none_and_another_error_is_told(
    error: Exception,
) -> None:
    inside, listing = Inside(), RayClusterList()
    inside.error = error
    assert await read(listing, inside) is None
    listing.changed()
    inside.error = UnavailableError("no route")
    with pytest.raises(UnavailableError):
        await read(listing, inside)
    inside.error = None
    assert await read(listing, inside) == []


@pytest.mark.parametrize("fails", [False, True])
async def test_every_change_that_is_carried_out_counts(fails: bool) -> None:
    told: list[str] = []

    class FakeScope:
        dry = False

        class host:  # noqa: N801 - stands where the connection does
            @staticmethod
            async def delete(*_: object) -> None:
                told.append("deleted")
                if fails:
                    raise UnavailableError("the answer was lost")

        def changed(self) -> None:
            told.append("changed")

    try:
        await carry_out(Remove(None, "x"), cast(Scope, FakeScope()))
    except UnavailableError:
        assert fails
    assert told == ["deleted", "changed"]
