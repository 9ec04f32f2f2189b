"""A local copy of a collection that follows the API server, and a queue of keys to look at."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2

from atoll.hosts.sandbox.kube import ApiError, Kube, Obj, Resource

Key = tuple[str, str]
log = logging.getLogger(__name__)


def key_of(item: Obj) -> Key:
    """Namespace (empty for cluster-scoped objects) and name."""
    meta = item["metadata"]
    return meta.get("namespace", ""), meta["name"]


class Informer:
    """Lists and watches a collection; `items` is its last known state."""

    def __init__(
        self, kube: Kube, kind: Resource, namespace: str | None = None, selector: str = ""
    ) -> None:
        self.items: dict[Key, Obj] = {}
        self._kube, self._kind, self._namespace, self._selector = kube, kind, namespace, selector
        self._handlers: list[Callable[[Obj], None]] = []
        self.synced = asyncio.Event()

    def subscribe(self, handler: Callable[[Obj], None]) -> None:
        """Call `handler` with every object that is there, appears, changes or goes."""
        self._handlers.append(handler)
        for item in list(self.items.values()):
            handler(item)

    def unsubscribe(self, handler: Callable[[Obj], None]) -> None:
        """Stop calling `handler`."""
        self._handlers.remove(handler)

    def get(self, namespace: str, name: str) -> Obj | None:
        """One object of the copy."""
        return self.items.get((namespace, name))

    def all(self, namespace: str | None = None) -> list[Obj]:
        """All objects of the copy, or those of a namespace."""
        return [o for (where, _), o in self.items.items() if namespace in (None, where)]

    async def run(self) -> None:
        """Follow the server until cancelled."""
        while True:
            try:
                await self._follow()
            except (httpx2.HTTPError, ApiError, ValueError) as problem:
                if isinstance(problem, ApiError) and problem.code == 404:
                    self._forget()
                    await asyncio.sleep(1)  # the custom resource is not defined (any more)
                elif not (isinstance(problem, ApiError) and problem.code == 410):
                    log.debug("watch of %s: %r", self._kind.plural, problem)
                await asyncio.sleep(0.3)

    def _forget(self) -> None:
        gone, self.items = self.items, {}
        for item in gone.values():
            self._tell(item)

    async def _follow(self) -> None:
        listed, version = await self._kube.list(self._kind, self._namespace, self._selector)
        fresh = {key_of(item): item for item in listed}
        gone = [item for key, item in self.items.items() if key not in fresh]
        changed = [item for key, item in fresh.items() if self.items.get(key) != item]
        self.items = fresh
        self.synced.set()
        for item in [*gone, *changed]:
            self._tell(item)
        while True:
            async for what, item in self._kube.watch(
                self._kind, version, self._namespace, self._selector
            ):
                version = item["metadata"]["resourceVersion"]
                if what == "BOOKMARK":
                    continue
                if what == "DELETED":
                    self.items.pop(key_of(item), None)
                else:
                    self.items[key_of(item)] = item
                self._tell(item)

    def _tell(self, item: Obj) -> None:
        for handler in list(self._handlers):
            handler(item)


class Reconciler:
    """Calls `look(key)` for keys that were added: one call per key at a time, repeated on failure.

    `look` may return seconds after which it wants to be called again.
    """

    def __init__(
        self, name: str, look: Callable[[Any], Awaitable[float | None]], parallel: int = 8
    ) -> None:
        self._name, self._look, self._parallel = name, look, parallel
        self._queue: asyncio.Queue[Any] = asyncio.Queue()
        self._waiting: set[Any] = set()
        self._busy: set[Any] = set()
        self._again: set[Any] = set()
        self._failures: dict[Any, int] = {}

    def add(self, key: Any) -> None:
        """Look at this key soon."""
        if key in self._busy:
            self._again.add(key)
        elif key not in self._waiting:
            self._waiting.add(key)
            self._queue.put_nowait(key)

    def add_later(self, key: Any, seconds: float) -> None:
        """Look at this key after some seconds."""
        asyncio.get_running_loop().call_later(seconds, self.add, key)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._parallel):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            self._waiting.discard(key)
            self._busy.add(key)
            try:
                again = await self._look(key)
                self._failures.pop(key, None)
            except Exception as problem:  # noqa: BLE001 (one bad object must not end the others)
                again = self._delay(key, problem)
            self._busy.discard(key)
            if key in self._again:
                self._again.discard(key)
                self.add(key)
            elif again is not None:
                self.add_later(key, again)

    def _delay(self, key: Any, problem: Exception) -> float:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        conflict = isinstance(problem, ApiError) and problem.code == 409
        if not conflict:
            expected = isinstance(problem, (httpx2.HTTPError, ApiError))
            log.warning("%s %s: %r", self._name, key, problem, exc_info=not expected)
        return float(min(10.0, 0.1 * 2**failures))
