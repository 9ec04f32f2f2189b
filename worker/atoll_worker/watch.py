"""Turns changes on the host into hints."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping

import structlog
from lightkube import operators

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import RESOURCE_QUOTA, SERVICE, STATEFUL_SET, VIRTUAL_CLUSTER, Kind
from atoll.dispatch import Dispatch
from atoll.domain.names import LABEL_VIRTUAL_CLUSTER, host_namespace
from atoll.errors import AtollError
from atoll.telemetry import worker_metrics
from atoll.telemetry.whose import of_virtual_cluster
from atoll_worker.malformed import MALFORMED, Complaints, of_host_object

log = structlog.get_logger()
_RETRY_SECONDS = 1.0
_PACE_SECONDS = 1.0
"""Least time between two hints about one virtual cluster's use: a hundred pods that start are a few looks."""

Owner = Callable[[Object], tuple[str, str] | None]
"""What an object tells: the virtual cluster's name and the state of interest; None: nothing."""


class Watcher:
    """Watches what a virtual cluster is made of and hints at its name, once per change of interest."""

    def __init__(self, host: Cluster, dispatch: Dispatch) -> None:
        self._host, self._dispatch = host, dispatch
        self._seen: dict[str, str] = {}
        self._paced: dict[str, float] = {}
        self._later: dict[str, asyncio.TimerHandle] = {}
        self._sending: set[asyncio.Task[None]] = set()
        self._odd = Complaints("watch.unreadable")

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(VIRTUAL_CLUSTER, {}, _wish))
            group.create_task(self._follow(STATEFUL_SET, {"app": "vcluster"}, _release))
            ours = {LABEL_VIRTUAL_CLUSTER: operators.exists()}
            group.create_task(self._follow(STATEFUL_SET, ours, _label))
            group.create_task(self._follow(RESOURCE_QUOTA, ours, _quota, paced=True))
            # The first that is seen of a Ray cluster on the host: its head waits for its user of Redis.
            group.create_task(self._follow(SERVICE, {"ray.io/node-type": "head"}, _ray_head))

    async def tell(self, name: str) -> None:
        """One hint at a virtual cluster, for a change that somebody else has seen."""
        worker_metrics.hint("watch")
        await self._dispatch.send("VirtualCluster", name, 0)

    async def _follow(
        self,
        kind: Kind,
        labels: Mapping[str, object],
        owner: Owner,
        *,
        paced: bool = False,
    ) -> None:
        tell = self._tell_paced if paced else self._tell
        while True:
            with contextlib.suppress(AtollError):
                found, revision = await self._host.items_at(kind, labels=labels)
                for item in found:
                    await tell(item, owner)
                async for change, item in self._host.watch(kind, since=revision, labels=labels):
                    if change == "DELETED":
                        self._seen.pop(item["metadata"]["uid"], None)
                    await tell(item, owner)
                    if change == "DELETED":
                        self._seen.pop(item["metadata"]["uid"], None)
                        self._paced.pop(item["metadata"]["uid"], None)
            await asyncio.sleep(_RETRY_SECONDS)

    async def _tell_paced(self, item: Object, owner: Owner) -> None:
        """At once when it is quiet; else the newest state, once, when the time is over."""
        uid, loop = item["metadata"]["uid"], asyncio.get_running_loop()
        if waiting := self._later.pop(uid, None):
            waiting.cancel()
            # Somebody else's hint may have shown the state in between: to be back is news, too.
            self._seen.pop(uid, None)
        wait = self._paced.get(uid, 0.0) + _PACE_SECONDS - loop.time()
        if wait > 0:
            self._later[uid] = loop.call_later(wait, self._send_later, item, owner)
            return
        self._paced[uid] = loop.time()
        await self._tell(item, owner)

    def _send_later(self, item: Object, owner: Owner) -> None:
        uid = item["metadata"]["uid"]
        self._later.pop(uid, None)
        self._paced[uid] = asyncio.get_running_loop().time()
        task = asyncio.create_task(self._tell(item, owner))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _tell(self, item: Object, owner: Owner) -> None:
        try:
            told = owner(item)
        except MALFORMED as error:
            whose = of_virtual_cluster if owner is _wish else of_host_object
            self._odd.tell(item["metadata"]["uid"], error, **whose(item))
            return
        if told is None:
            return
        name, state = told
        uid = item["metadata"]["uid"]
        if self._seen.get(uid) == state:
            return
        worker_metrics.hint("watch")
        if await self._dispatch.send("VirtualCluster", name, item["metadata"].get("generation", 0)):
            self._seen[uid] = state


def _wish(item: Object) -> tuple[str, str] | None:
    meta = item["metadata"]
    observed = (item.get("status") or {}).get("observedGeneration", 0)
    if meta.get("generation", 0) == observed and not meta.get("deletionTimestamp"):
        return None
    return meta["name"], f"{meta.get('generation')}/{meta.get('deletionTimestamp')}"


def _release(item: Object) -> tuple[str, str] | None:
    status = item.get("status") or {}
    state = f"{status.get('readyReplicas', 0)}/{status.get('updatedReplicas', 0)}"
    return item["metadata"]["name"], state


def _label(item: Object) -> tuple[str, str] | None:
    state = str((item.get("status") or {}).get("readyReplicas"))
    return item["metadata"]["labels"][LABEL_VIRTUAL_CLUSTER], state


def _quota(item: Object) -> tuple[str, str] | None:
    """What is used, what holds, and what somebody wrote."""
    state = f"{item.get('status')}{item.get('spec')}"
    return item["metadata"]["labels"][LABEL_VIRTUAL_CLUSTER], state


def _ray_head(item: Object) -> tuple[str, str] | None:
    namespace = item["metadata"]["namespace"]
    name = namespace.removeprefix(host_namespace(""))
    return None if name == namespace else (name, "there")
