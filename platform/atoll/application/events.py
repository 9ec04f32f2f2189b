"""Changes of virtual clusters as they happen: one watch per process, fanned out to every listener.

The feed also keeps the present state, so lists cost the API server nothing, and a little of the
past, so that a listener who was away for a moment misses nothing. That holds because listeners are
told only what the watch told, in its order: what this process wrote itself is in the present state at
once, and reaches listeners when the watch brings it, behind what others wrote before.
"""

import asyncio
import random
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import structlog

from atoll.application.callers import Caller, may_see
from atoll.application.reads import virtual_cluster_read
from atoll.application.validation import StoredInvalidError, stored
from atoll.cluster import kinds
from atoll.cluster.client import Cluster, Object
from atoll.contract.virtual_clusters import VirtualClusterEvent
from atoll.errors import AtollError, StaleWriteError, UnavailableError
from atoll.resources.virtual_clusters import VirtualCluster
from atoll.telemetry.whose import of_virtual_cluster

CHANGED = "virtual-cluster.changed"
DELETED = "virtual-cluster.deleted"
_KEPT = 1000
_QUEUE = 256

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class StreamEvent:
    """One change, serialised once for all listeners. `id` is the resource version."""

    id: int
    type: str
    name: str
    team: str
    data: str
    """A contract VirtualClusterEvent as JSON."""


@dataclass(frozen=True)
class Audience:
    """Which changes a listener gets: of what the caller may see, one virtual cluster, one team or all."""

    caller: Caller
    name: str | None = None
    team: str | None = None

    def wants(self, event: StreamEvent) -> bool:
        """Whether this event is for them."""
        return (
            may_see(self.caller, event.team)
            and self.name in (None, event.name)
            and self.team in (None, event.team)
        )


class Subscription:
    """What one listener has not read yet. It ends when the feed closes or the listener falls too far
    behind; the listener then comes back with the last id it saw.
    """

    def __init__(self, audience: Audience, first: list[StreamEvent]) -> None:
        self._audience = audience
        self._queue: asyncio.Queue[StreamEvent | None] = asyncio.Queue(len(first) + _QUEUE)
        self.closed = False
        for event in first:
            self.offer(event)

    def offer(self, event: StreamEvent) -> None:
        """Put an event in, when it is for this listener and there is room."""
        if self.closed or not self._audience.wants(event):
            return
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            self.close()

    def close(self) -> None:
        """No more events; a listener that waits learns it at once."""
        self.closed = True
        with suppress(asyncio.QueueFull):
            self._queue.put_nowait(None)

    async def next(self, end: float) -> StreamEvent | None:
        """The next event; None when the stream is over, or at `end` (seconds of the loop's clock)."""
        if self.closed and self._queue.empty():
            return None
        try:
            async with asyncio.timeout_at(end):
                return await self._queue.get()
        except TimeoutError:
            return None


class VirtualClusterFeed:
    """The one watch. `run()` is a task for the life of the process."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._present: dict[str, VirtualCluster] = {}
        self._told: dict[str, VirtualCluster] = {}
        self._gone: OrderedDict[str, VirtualCluster] = OrderedDict()
        self._past: deque[StreamEvent] = deque(maxlen=_KEPT)
        self._floor = 0
        self._position = 0
        self._listeners: set[Subscription] = set()
        self._synced = asyncio.Event()
        self.synced = False
        """True while the feed follows the API server; False when it is away."""

    @property
    def listeners(self) -> int:
        """How many streams are open."""
        return len(self._listeners)

    def items(self) -> list[VirtualCluster]:
        """The present state of all, with what this process wrote."""
        return list(self._present.values())

    def find_uid(self, uid: str) -> VirtualCluster | None:
        """The virtual cluster of that uid, present or lately gone."""
        known = [*self._present.values(), *self._told.values()]
        return next((v for v in known if v.metadata.uid == uid), None) or self._gone.get(uid)

    def is_gone(self, uid: str) -> bool:
        """Whether it was seen to be deleted."""
        return uid in self._gone

    async def run(self) -> None:
        """List, then watch, for ever; after trouble again, with growing pauses up to 5 s."""
        pause = 0.2
        since: str | None = None
        while True:
            try:
                if since is None:
                    since = await self._list()
                self._set_synced(True)
                pause = 0.2
                async for change, item in self._cluster.watch(kinds.VIRTUAL_CLUSTER, since=since):
                    self._take(change, item)
                    since = item["metadata"]["resourceVersion"]
                    self._position = int(since)
            except StaleWriteError:
                since = None
                continue
            except AtollError as error:
                log.warning("feed.broken", error=error.detail)
            except Exception:
                log.exception("feed.failed")
                since = None
            self._set_synced(False)
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads, no secret
            pause = min(pause * 2, 5.0)
            since = await self._still_there(since)

    async def _still_there(self, since: str | None) -> str | None:
        """After a break: where to go on from. A restored etcd may have gone back in time."""
        try:
            _, now = await self._cluster.items_at(kinds.VIRTUAL_CLUSTER)
        except AtollError:
            return since
        return since if since is not None and int(since) <= int(now) else None

    def _set_synced(self, synced: bool) -> None:
        self.synced = synced
        if synced:
            self._synced.set()

    async def _list(self) -> str:
        """Everything as it is now. Listeners are told what changed while the watch was away."""
        found, text = await self._cluster.items_at(kinds.VIRTUAL_CLUSTER)
        revision = int(text)
        begins = self._position == 0 or revision < self._position
        if begins:
            self._begin()
        for item in sorted(found, key=lambda i: int(i["metadata"]["resourceVersion"])):
            self._tell(item)
        uids = {item["metadata"]["uid"] for item in found}
        for name, old in list(self._told.items()):
            if old.metadata.uid not in uids:
                self._forget(name, revision)
        self._drop_untold(uids, revision)
        if begins:
            self._past.clear()
            self._floor = revision
        self._position = revision
        return text

    def _begin(self) -> None:
        """The first list, or that of an API server that went back in time: ids begin anew."""
        for known in (self._told, self._present, self._gone):
            known.clear()
        self.close()

    def _drop_untold(self, uids: set[str], revision: int) -> None:
        """Forget what we wrote and somebody deleted while the watch was away: no watch will tell."""
        for name, own in list(self._present.items()):
            if own.metadata.uid not in uids and _revision(own) <= revision:
                self._bury(self._present.pop(name))

    def _take(self, change: str, item: Object) -> None:
        if change == "DELETED":
            known = self._told.get(item["metadata"]["name"])
            if known and known.metadata.uid == item["metadata"]["uid"]:
                self._forget(known.name, int(item["metadata"]["resourceVersion"]))
        elif change in ("ADDED", "MODIFIED"):
            self._tell(item)

    def observe(self, item: Object) -> None:
        """Take in what was written here just now; older than what is known is ignored.

        Listeners hear of it from the watch: told here it could overtake what others wrote before, and
        who came back with its id would never be told that.
        """
        new = _readable(item)
        if new and new.metadata.uid not in self._gone:
            self._keep(new)

    def _tell(self, item: Object) -> None:
        new = _readable(item)
        if new is None:
            return
        old = self._told.get(new.name)
        if old and old.metadata.uid != new.metadata.uid:
            # Deleted and made again while the watch was away: the first one's end is an event.
            self._forget(new.name, _revision(new) - 1)
        elif old and _revision(old) >= _revision(new):
            return
        self._told[new.name] = new
        self._keep(new)
        self._publish(_event(CHANGED, new, _revision(new)))

    def _keep(self, new: VirtualCluster) -> None:
        old = self._present.get(new.name)
        if old is None or _revision(old) < _revision(new):
            self._present[new.name] = new

    def _forget(self, name: str, revision: int) -> None:
        gone = self._told.pop(name)
        if name in self._present and self._present[name].metadata.uid == gone.metadata.uid:
            gone = self._present.pop(name)
        self._bury(gone)
        self._publish(_event(DELETED, gone, revision))

    def _bury(self, gone: VirtualCluster) -> None:
        self._gone[gone.metadata.uid] = gone
        while len(self._gone) > _KEPT:
            self._gone.popitem(last=False)

    def _publish(self, event: StreamEvent) -> None:
        if len(self._past) == _KEPT:
            self._floor = self._past[0].id
        self._past.append(event)
        for listener in tuple(self._listeners):
            listener.offer(event)

    @asynccontextmanager
    async def subscribe(
        self, audience: Audience, after: int | None = None
    ) -> AsyncIterator[Subscription]:
        """Listen. With `after` what came since then, as far as it is still known; else the present
        state first. UnavailableError when the feed could not read the state within 3 s.
        """
        try:
            async with asyncio.timeout(3):
                await self._synced.wait()
        except TimeoutError as error:
            raise UnavailableError("The Kubernetes API does not answer; try again soon") from error
        subscription = Subscription(audience, list(self._since(after)))
        self._listeners.add(subscription)
        try:
            yield subscription
        finally:
            self._listeners.discard(subscription)

    def _since(self, after: int | None) -> Iterator[StreamEvent]:
        newest = max([self._floor, *(e.id for e in self._past)])
        if after is not None and self._floor <= after <= newest:
            # What ended while the watch was away shares one id: who saw a part gets all of it again.
            first = after if sum(e.id == after for e in self._past) > 1 else after + 1
            yield from (e for e in self._past if e.id >= first)
            return
        for found in sorted(self._told.values(), key=_revision):
            yield _event(CHANGED, found, _revision(found))

    def close(self) -> None:
        """End every stream, so that the process can stop."""
        for listener in tuple(self._listeners):
            listener.close()


def _readable(item: Object) -> VirtualCluster | None:
    """The object, or None when what is stored breaks our rules: it must not stop the others."""
    try:
        return stored(VirtualCluster, item)
    except StoredInvalidError as error:
        log.warning("feed.invalid", **of_virtual_cluster(item), error=error.detail)
        return None


def _revision(found: VirtualCluster) -> int:
    return int(found.metadata.resource_version)


def _event(kind: str, found: VirtualCluster, revision: int) -> StreamEvent:
    body = VirtualClusterEvent(id=str(revision), type=kind, object=virtual_cluster_read(found))
    data = body.model_dump_json(by_alias=True)
    return StreamEvent(revision, kind, found.name, found.spec.team, data)
