"""Two loops in one process: both or none, and each line of the log says whose it is."""

import asyncio

import pytest
import structlog

from atoll_worker.follow import follow


async def _for_ever(ended: list[str]) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        ended.append("watch")


async def _dies() -> None:
    raise ValueError("no longer")


async def _ends() -> None:
    return


async def test_a_loop_that_dies_takes_the_other_down() -> None:
    ended: list[str] = []
    with pytest.raises(ExceptionGroup) as told:
        await follow({"watch": _for_ever(ended), "sweep": _dies()})
    assert [type(error) for error in told.value.exceptions] == [ValueError]
    assert ended == ["watch"]


async def test_a_loop_that_ends_is_an_error_too() -> None:
    with pytest.raises(ExceptionGroup) as told:
        await follow({"watch": _for_ever([]), "sweep": _ends()})
    assert "sweep" in str(told.value.exceptions[0])


async def test_each_loop_logs_under_its_own_name() -> None:
    seen: list[object] = []

    async def looks_around() -> None:
        seen.append(structlog.contextvars.get_contextvars().get("loop"))
        await asyncio.Event().wait()

    work = asyncio.create_task(follow({"watch": looks_around(), "sweep": looks_around()}))
    while len(seen) < 2:
        await asyncio.sleep(0)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert seen == ["watch", "sweep"]
    assert "loop" not in structlog.contextvars.get_contextvars()
