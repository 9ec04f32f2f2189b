"""What a pass has come to is told while it is at work, on a real API server."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atoll.cluster.client import Cluster
from atoll.cluster.kinds import VIRTUAL_CLUSTER
from atoll_worker.reconcile.outcome import Change, Done, Outcome, Put
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step
from builders.lone_virtual_cluster import lone, look

NAME = "telling"


@pytest.fixture
async def host(api_server: Path) -> AsyncIterator[Cluster]:
    async with lone(api_server, NAME, cpu="1") as cluster:
        yield cluster


class Quick(Step):
    name, title, condition = "quick", "Do a little", "QuickReady"

    async def observe(self, scope: Scope) -> None:
        return None

    def plan(self, scope: Scope, seen: None) -> list[Change]:
        return []

    def judge(self, scope: Scope, seen: None) -> Outcome:
        return Done("There")


class Long(Quick):
    """An install that goes on until it is let go; a dry pass finds that there is something to do."""

    name, title, condition = "long", "Install much", "LongReady"

    def __init__(self) -> None:
        self.gate = asyncio.Event()

    async def observe(self, scope: Scope) -> None:
        if not scope.dry:
            await self.gate.wait()

    def plan(self, scope: Scope, seen: None) -> list[Change]:
        meta = {"name": NAME, "namespace": "default"}
        made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta}
        return [Put(made)] if scope.dry else []


class Next(Quick):
    name, title, condition = "next", "Then this", "NextReady"
    needs = ("LongReady",)


async def told(host: Cluster) -> dict[str, tuple[str, str]]:
    """Status and reason by condition."""
    status: dict[str, Any] = (await host.get(VIRTUAL_CLUSTER, NAME)).get("status") or {}
    return {c["type"]: (c["status"], c["reason"]) for c in status.get("conditions") or []}


async def test_an_install_that_takes_long_does_not_hide_what_is_there(host: Cluster) -> None:
    long = Long()
    looking = asyncio.create_task(look(host, NAME, steps=[Quick(), long, Next()]))
    async with asyncio.timeout(60):
        while not (seen := await told(host)):
            await asyncio.sleep(0.05)
    assert seen == {
        "QuickReady": ("True", "Done"),
        "LongReady": ("False", "AtWork"),
        "NextReady": ("Unknown", "WaitingForLong"),
        "Ready": ("False", "AtWork"),
    }
    item = await host.get(VIRTUAL_CLUSTER, NAME)
    assert [step["state"] for step in item["status"]["steps"]] == ["done", "running", "waiting"]
    long.gate.set()
    assert await looking == "converged"
    assert {state for state, _ in (await told(host)).values()} == {"True"}


class Counting(Quick):
    """Tells a use that moves while the worker is the writer; the hint of it finds the lease held."""

    def __init__(self, file: Path) -> None:
        self.file, self.used, self.words = file, 1, list[str]()

    async def observe(self, scope: Scope) -> int:
        seen = self.used
        if not scope.dry and self.used < 2:
            self.used += 1
            # From a thread of its own, as each of a worker's is a writer of its own.
            self.words.append(await asyncio.to_thread(asyncio.run, self.hint()))
        return seen

    async def hint(self) -> str:
        async with Cluster.from_file(self.file) as host:
            return await look(host, NAME, steps=[self])

    def facts(self, scope: Scope, seen: int) -> dict[str, Any]:
        return {"used": {"cpu": str(seen)}}


async def test_what_moves_while_we_write_is_told_though_its_hint_was_dropped(
    host: Cluster, api_server: Path
) -> None:
    step = Counting(api_server)
    assert await look(host, NAME, steps=[step]) == "converged"
    assert step.words == ["held"]
    assert (await host.get(VIRTUAL_CLUSTER, NAME))["status"]["used"] == {"cpu": "2"}
