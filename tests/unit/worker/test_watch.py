"""Hints about use are few however often it changes, and the newest state is never lost."""

import asyncio
from typing import Any

from atoll_worker.watch import Watcher, _quota


class Sent:
    """Takes hints; stands for the queue."""

    def __init__(self) -> None:
        self.hints: list[int] = []

    async def send(self, kind: str, name: str, generation: int) -> bool:
        assert (kind, name) == ("VirtualCluster", "lab")
        self.hints.append(generation)
        return True


def quota(used: int) -> dict[str, Any]:
    """As the watch tells it; the generation only marks which one a hint was about."""
    labels = {"atoll.dev/virtual-cluster": "lab"}
    meta = {"uid": "u", "labels": labels, "generation": used}
    return {"metadata": meta, "spec": {}, "status": {"used": {"pods": str(used)}}}


async def test_a_hundred_changes_are_one_hint_at_once_and_one_for_the_last() -> None:
    sent = Sent()
    watcher = Watcher(None, sent)  # type: ignore[arg-type]
    for used in range(1, 101):
        await watcher._tell_paced(quota(used), _quota)
    assert sent.hints == [1]
    while len(sent.hints) < 2:
        await asyncio.sleep(0.05)
    assert sent.hints == [1, 100]
    await watcher._tell_paced(quota(100), _quota)
    assert sent.hints == [1, 100]


async def test_what_came_and_went_within_the_pace_is_a_hint_for_a_look_may_have_seen_it() -> None:
    sent = Sent()
    watcher = Watcher(None, sent)  # type: ignore[arg-type]
    for used in (1, 2, 1):
        await watcher._tell_paced(quota(used), _quota)
    assert sent.hints == [1]
    async with asyncio.timeout(30):
        while len(sent.hints) < 2:
            await asyncio.sleep(0.05)
    assert sent.hints == [1, 1]
