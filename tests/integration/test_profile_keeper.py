"""The keeper of profiles on a real API server: it writes what is new, and nothing while nothing is."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atoll.application.profile_keeper import ProfileKeeper
from atoll.application.stock import Stock
from atoll.cluster import kinds
from atoll.cluster.client import Cluster, Object
from atoll.errors import FieldProblem
from atoll.resources.meta import API_VERSION
from atoll.resources.profiles import ProfileSpec
from builders.api_process import profile


class Written(Cluster):
    """The real client; it remembers what was written by it, and tells."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tried: list[str] = []
        self.done: dict[str, asyncio.Event] = {}

    async def replace(self, manifest: Object, *, status: bool = False) -> Object:
        assert status
        name = manifest["metadata"]["name"]
        self.tried.append(name)
        found = await super().replace(manifest, status=status)
        self.done.setdefault(name, asyncio.Event()).set()
        return found

    async def wrote(self, name: str) -> None:
        async with asyncio.timeout(60):
            await self.done.setdefault(name, asyncio.Event()).wait()


@pytest.fixture
async def cluster(api_server: Path) -> AsyncIterator[Written]:
    async with Written.from_file(api_server) as made:
        yield made


@contextlib.asynccontextmanager
async def there(cluster: Cluster, name: str, **parts: Any) -> AsyncIterator[None]:
    body = {"apiVersion": API_VERSION, "kind": "Profile", "metadata": {"name": name}}
    await cluster.create({**body, "spec": {**profile(name)["spec"], **parts}})
    try:
        yield
    finally:
        await cluster.delete(kinds.PROFILE, name)


@contextlib.asynccontextmanager
async def running(keeper: ProfileKeeper) -> AsyncIterator[None]:
    task = asyncio.create_task(keeper.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def others_put_right(cluster: Cluster) -> AsyncIterator[None]:
    """Profiles of other tests on this API server say in the end what they said before."""
    try:
        yield
    finally:
        await ProfileKeeper(cluster, Stock(None)).look()


async def test_nothing_is_written_while_nothing_changes(cluster: Written) -> None:
    """An API process of another test may have said it first, in the same words: no reason either."""
    keeper = ProfileKeeper(cluster, Stock(None))

    async def said() -> list[Object]:
        found = await cluster.get(kinds.PROFILE, "kept-idle")
        return list((found.get("status") or {}).get("conditions") or [])

    async with there(cluster, "kept-idle"):
        while not await said():  # a write may lose against that process's
            await keeper.look()
        (before,), tried = await said(), list(cluster.tried)
        await keeper.look()
        assert (await said(), cluster.tried) == ([before], tried)
    assert (before["type"], before["status"], before["observedGeneration"]) == ("Valid", "True", 1)


async def test_two_that_disagree_do_not_answer_one_another(
    cluster: Written, tmp_path: Path
) -> None:
    foreign = {
        "type": "Valid",
        "status": "True",
        "reason": "Valid",
        "message": "of another version",
    }
    keeper = ProfileKeeper(cluster, Stock(tmp_path))  # an empty bundle: nobody else says the same
    async with others_put_right(cluster), there(cluster, "kept-first"), running(keeper):
        await cluster.wrote("kept-first")
        tried = cluster.tried.count("kept-first")
        change = {"status": {"observedGeneration": 1, "conditions": [foreign]}}
        await cluster.patch(kinds.PROFILE, "kept-first", change, status=True)
        async with there(cluster, "kept-second"):
            await cluster.wrote("kept-second")  # the watch tells in order, so of the other before
            assert cluster.tried.count("kept-first") == tried
        cluster.done["kept-first"].clear()
        await cluster.patch(kinds.PROFILE, "kept-first", {"spec": {"retired": True}})
        await cluster.wrote("kept-first")  # another generation is another matter


class Torn(Stock):
    """A bundle of which an archive cannot be read, or that a profile is too odd for."""

    def __init__(self, folder: Path, error: Exception) -> None:
        super().__init__(folder)
        self._error = error

    def problems(self, spec: ProfileSpec) -> list[FieldProblem]:
        if spec.registry == "torn.example":
            raise self._error
        return super().problems(spec)


@pytest.mark.parametrize(
    "error",
    [PermissionError(13, "Permission denied", "chart.tgz"), NotImplementedError("a pattern")],
)
async def test_one_that_cannot_be_judged_keeps_no_other_from_it(
    cluster: Written, tmp_path: Path, error: Exception
) -> None:
    """The torn one is the first of the list, and an empty bundle has nothing for the other."""
    async with (
        others_put_right(cluster),
        there(cluster, "kept-a-torn", registry="torn.example"),
        there(cluster, "kept-b-next"),
    ):
        cluster.tried.clear()
        await ProfileKeeper(cluster, Torn(tmp_path, error)).look()
        assert "kept-b-next" in cluster.tried
        assert "kept-a-torn" not in cluster.tried
