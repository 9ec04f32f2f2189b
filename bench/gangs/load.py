"""Gangs by the thousand through one queue, at more than it can hold, and what became of each."""

import asyncio
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import POD, POD_GROUP, QUEUE
from atoll.domain.queue_shares import queue_share
from atoll.errors import AtollError
from atoll_worker.reconcile.schedulers.volcano import Volcano

TEAM_QUEUE, SPACE = "team-bench", "gangs"
_GROUP = "scheduling.k8s.io/group-name"
SIZES = (2, 20)


@dataclass
class Gang:
    """One gang and when its pods were bound (seconds of the loop's clock)."""

    name: str
    size: int
    bound: dict[str, float] = field(default_factory=dict)
    made: float = 0.0
    whole: float = 0.0


@dataclass
class Figures:
    """What was seen. `partial` names gangs that stood half bound when nothing moved any more."""

    gangs: int = 0
    pods: int = 0
    most_bound: int = 0
    longest_partial: float = 0.0
    partial: list[str] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    seconds: float = 0.0


class Load:
    """Keeps `demand` times the queue's capability asked for until `total` gangs have run.

    The capability is `room` pods of 100m; a gang that is whole runs `run` seconds and is removed. A gang
    is partial while some, but not all, of its pods are bound.
    """

    def __init__(
        self, cluster: Cluster, *, total: int, room: int, demand: float = 1.5,
        run: float = 0.5, seed: int = 1, settle: float = 30.0,
    ) -> None:  # fmt: skip
        self._cluster, self._total, self._room = cluster, total, room
        self._outstanding, self._run, self._settle = int(room * demand), run, settle
        self._random = random.Random(seed)  # noqa: S311 - a load, no secret
        self._gangs: dict[str, Gang] = {}
        self._asked = 0
        self._held: set[str] = set()
        """Pods that are bound and not deleted yet, in the order of the server's own history."""
        self._moved = asyncio.Event()
        self._slots = asyncio.Semaphore(24)
        self._leaving: set[asyncio.Task[None]] = set()
        self.figures = Figures()

    async def go(self) -> Figures:
        """Until all gangs have run, or nothing has moved for `settle` seconds."""
        began = time.monotonic()
        await self._stage()
        _, revision = await self._cluster.items_at(POD, SPACE)
        watch = asyncio.create_task(self._watch(revision))
        try:
            await asyncio.gather(*(self._feed(gangs) for gangs in self._split(self._wishes(), 4)))
            while self._gangs and await self._moves():
                pass
            self.figures.partial = [g.name for g in self._gangs.values() if g.bound and not g.whole]
        finally:
            watch.cancel()
            await asyncio.gather(*self._leaving, return_exceptions=True)
        self.figures.seconds = time.monotonic() - began
        return self.figures

    async def _moves(self) -> bool:
        self._moved.clear()
        try:
            await asyncio.wait_for(self._moved.wait(), self._settle)
        except TimeoutError:
            return False
        return True

    async def _stage(self) -> None:
        meta = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}}
        await self._cluster.apply(meta)
        cores = f"{self._room * 100}m"
        share = queue_share({"cpu": cores})
        await self._cluster.apply(Volcano().queue_spec(TEAM_QUEUE, share, {}))
        for _ in range(
            150
        ):  # the controller opens it; nothing is let into a queue that is not open
            status = (await self._cluster.get(QUEUE, TEAM_QUEUE)).get("status") or {}
            if status.get("state") == "Open":
                return
            await asyncio.sleep(0.2)
        raise TimeoutError("the queue was not opened within 30 s")

    def _wishes(self) -> list[Gang]:
        return [Gang(f"g{n}", self._random.randint(*SIZES)) for n in range(self._total)]

    @staticmethod
    def _split(gangs: list[Gang], parts: int) -> Iterator[list[Gang]]:
        for part in range(parts):
            yield gangs[part::parts]

    async def _feed(self, gangs: list[Gang]) -> None:
        for gang in gangs:
            while self._asked + gang.size > self._outstanding and await self._moves():
                pass
            self._asked += gang.size
            self._gangs[gang.name] = gang
            gang.made = time.monotonic()
            await self._cluster.create(_group(gang))
            await asyncio.gather(*(self._make(pod) for pod in _pods(gang)))
            self.figures.gangs += 1
            self.figures.pods += gang.size

    async def _make(self, pod: Object) -> None:
        async with self._slots:
            await self._cluster.request("POST", f"api/v1/namespaces/{SPACE}/pods", body=pod)

    async def _watch(self, revision: str) -> None:
        async for change, pod in self._cluster.watch(POD, since=revision, namespace=SPACE):
            name, gang = pod["metadata"]["name"], pod["metadata"]["annotations"][_GROUP]
            if change == "DELETED":
                self._held.discard(name)
            elif pod["spec"].get("nodeName") and name not in self._held:
                self._bound(self._gangs[gang], name)

    def _bound(self, gang: Gang, pod: str) -> None:
        now = time.monotonic()
        gang.bound[pod] = now
        self._held.add(pod)
        self.figures.most_bound = max(self.figures.most_bound, len(self._held))
        self._moved.set()
        if len(gang.bound) == gang.size:
            gang.whole = now
            partial = now - min(gang.bound.values())
            self.figures.longest_partial = max(self.figures.longest_partial, partial)
            self.figures.waits.append(now - gang.made)
            task = asyncio.create_task(self._leave(gang))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)

    async def _leave(self, gang: Gang) -> None:
        await asyncio.sleep(self._run)
        await asyncio.gather(*(self._take(name) for name in gang.bound))
        try:
            await self._cluster.delete(POD_GROUP, gang.name, SPACE)
        except AtollError:
            return
        finally:
            self._asked -= gang.size
            self._gangs.pop(gang.name, None)
            self._moved.set()

    async def _take(self, name: str) -> None:
        async with self._slots:
            await self._cluster.request(
                "DELETE", f"api/v1/namespaces/{SPACE}/pods/{name}?gracePeriodSeconds=0"
            )


def _group(gang: Gang) -> Object:
    return {
        "apiVersion": "scheduling.volcano.sh/v1beta1", "kind": "PodGroup",
        "metadata": {"name": gang.name, "namespace": SPACE},
        "spec": {
            "minMember": gang.size, "queue": TEAM_QUEUE,
            "minResources": {"cpu": f"{gang.size * 100}m"},
        },
    }  # fmt: skip


def _pods(gang: Gang) -> Iterator[Object]:
    for number in range(gang.size):
        yield {
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": f"{gang.name}-{number}", "namespace": SPACE,
                "annotations": {_GROUP: gang.name},
            },
            "spec": {
                "schedulerName": "volcano", "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": False,
                "containers": [
                    {"name": "c", "image": "none", "resources": {"requests": {"cpu": "100m"}}}
                ],
            },
        }  # fmt: skip
