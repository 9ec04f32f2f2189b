"""Gangs by the thousand through one queue, at more than it can hold, and what became of each."""

import asyncio
import math
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from bench.gangs.judge import Gang, Judge
from bench.gangs.patience import surely

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import POD, POD_GROUP
from atoll.domain.gangs import GROUP_NAME
from atoll.domain.schedulers import VOLCANO
from atoll.errors import UnavailableError
from atoll_worker.reconcile.policies.pods import QUEUE_NOTE

SPACE = "gangs"
"""The namespace of all gangs."""
SIZES = (2, 20)
"""Members of the smallest and the largest gang. Small ones are the most: half have two or three
members, one in ten has ten or more, the mean is five."""
CPUS = (100, 200, 300, 500)
"""What a pod of a gang may ask for, in thousandths of a core; all pods of a gang ask for the same."""
_LABEL = "gang"


@dataclass
class Figures:
    """What was seen. `faults` are the judge's, and `left` what stood when nothing moved any more."""

    wanted: int
    gangs: int = 0
    pods: int = 0
    most_waiting: int = 0
    waits: list[float] = field(default_factory=list)
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    most_claimed: int = 0
    most_begun: int = 0
    longest_begun: float = 0.0

    @property
    def good(self) -> bool:
        """Whether every gang ran whole, and none was ever half there without room for the rest."""
        return not self.faults and not self.left and len(self.waits) == self.wanted

    def lines(self) -> list[str]:
        """In words, for people."""
        waits = sorted(self.waits) or [0.0]
        rate = len(self.waits) / self.seconds
        return [
            f"{len(self.waits)} of {self.wanted} gangs ran whole, {self.pods} pods in "
            f"{self.seconds:.0f} s: {rate:.1f} gangs and {self.pods / self.seconds:.0f} pods a second",
            f"faults {len(self.faults)}, half there at the end {len(self.left)}",
            f"waiting: at most {self.most_waiting} gangs; median {statistics.median(waits):.1f} s, "
            f"longest {waits[-1]:.1f} s",
            f"from a gang's first to its last binding at most {self.longest_begun:.2f} s, at most "
            f"{self.most_begun} gangs in between at once; at most {self.most_claimed / 1000:g} cores held",
        ]


class Load:
    """Keeps `demand` times the room asked for until `total` gangs have run, each for `run` seconds.

    It is a user of the virtual cluster who knows nothing of schedulers: pods name none and PodGroups ask
    for other queues. Admission has to put both right; what it leaves wrong is a fault.
    """

    def __init__(
        self, cluster: Cluster, judge: Judge, *, queue: str, total: int, room: int,
        demand: float = 1.5, run: float = 0.5, seed: int = 1, settle: float = 300.0,
        seconds: float = math.inf,
        tell: Callable[[int], None] = lambda _: None,
    ) -> None:  # fmt: skip
        """`room` in thousandths of a core; `settle`: seconds without any event that end it; `seconds`: after
        so many no more gangs are asked for.
        """
        self._cluster, self._judge, self._queue = cluster, judge, queue
        self._outstanding, self._run, self._settle = int(room * demand), run, settle
        self._random = random.Random(seed)  # noqa: S311 - a load, no secret
        self._total, self._seconds, self._tell = total, seconds, tell
        self._alive: dict[str, Gang] = {}
        self._asked = 0
        self._moved = asyncio.Event()
        self._slots = asyncio.Semaphore(32)
        self._leaving: set[asyncio.Task[None]] = set()
        self._empty: dict[str, asyncio.Event] = {}
        self._broken: asyncio.Task[None] | None = None
        self.figures = Figures(total)

    async def go(self) -> Figures:
        """Until all gangs have run, or nothing has moved for `settle` seconds."""
        self._began, figures = time.monotonic(), self.figures
        _, revision = await self._cluster.items_at(POD, SPACE)
        watch = asyncio.create_task(self._watch(revision))
        # A judge that is blind from here on must end the run, and not let it pass.
        watch.add_done_callback(lambda _: self._moved.set())
        self._watching = watch
        try:
            await asyncio.gather(*(self._feed(gangs) for gangs in self._split(self._wishes(), 4)))
            while self._alive and await self._moves():
                pass
            figures.left = self._judge.begun
        finally:
            watch.cancel()
            await asyncio.gather(watch, *self._leaving, return_exceptions=True)
        figures.seconds = time.monotonic() - self._began
        figures.faults = [*self._judge.faults]
        figures.most_claimed = self._judge.most_claimed
        figures.most_begun = self._judge.most_begun
        figures.longest_begun = self._judge.longest_begun
        return figures

    def stop(self) -> None:
        """Ask for no more gangs; those that are asked for still run."""
        self._seconds = 0.0

    async def _moves(self) -> bool:
        self._moved.clear()
        if self._broken is not None:
            await self._broken
        if self._watching.done():
            await self._watching
        try:
            async with asyncio.timeout(self._settle):
                await self._moved.wait()
        except TimeoutError:
            return False
        return True

    def _wishes(self) -> list[Gang]:
        pick, (least, most) = self._random, SIZES
        spread = 1 / least - 1 / (most + 1)
        sizes = (int(1 / (1 / least - spread * pick.random())) for _ in range(self._total))
        return [Gang(f"g{n}", size, pick.choice(CPUS)) for n, size in enumerate(sizes)]

    @staticmethod
    def _split(gangs: list[Gang], parts: int) -> Iterator[list[Gang]]:
        for part in range(parts):
            yield gangs[part::parts]

    async def _feed(self, gangs: list[Gang]) -> None:
        for gang in gangs:
            need = gang.size * gang.cpu
            while self._asked + need > self._outstanding:
                if not await self._moves():
                    return
            if time.monotonic() - self._began > self._seconds:
                return
            self._asked += need
            self._alive[gang.name] = gang
            self._judge.made(gang)
            gang.made = time.monotonic()
            await self._group(gang)
            await asyncio.gather(*(self._pod(gang, number) for number in range(gang.size)))
            self.figures.gangs += 1
            self.figures.pods += gang.size
            waiting = sum(not one.bound for one in self._alive.values())
            self.figures.most_waiting = max(self.figures.most_waiting, waiting)

    async def _group(self, gang: Gang) -> None:
        async with self._slots:
            made = await surely(lambda: self._cluster.create(group_of(gang)))
        if made is not None and made["spec"].get("queue") != self._queue:
            self._judge.faults.append(f"{gang.name} is in the queue {made['spec'].get('queue')}")

    async def _pod(self, gang: Gang, number: int) -> None:
        async with self._slots:
            made = await surely(lambda: self._cluster.create(pod_of(gang, number)))
        if made is None:
            return
        queue = made["metadata"]["annotations"].get(QUEUE_NOTE)
        if (made["spec"]["schedulerName"], queue) != (VOLCANO.name, self._queue):
            self._judge.faults.append(f"admission left {made['metadata']['name']} as it was")

    async def _watch(self, revision: str) -> None:
        """A link that breaks is taken up where it was; history that is lost (StaleWriteError) ends all."""
        while True:
            with suppress(UnavailableError):
                async for change, pod in self._cluster.watch(POD, since=revision, namespace=SPACE):
                    revision = pod["metadata"]["resourceVersion"]
                    self._see(change, pod)
            await asyncio.sleep(0.2)

    def _see(self, change: str, pod: Object) -> None:
        name, gang = pod["metadata"]["name"], pod["metadata"]["labels"][_LABEL]
        node = pod["spec"].get("nodeName")
        if change == "DELETED":
            self._ended(gang, name)
        elif node:
            whole = self._judge.bound(gang, name, node, time.monotonic())
            self._moved.set()
            if whole is not None:
                self._whole(whole)

    def _ended(self, gang: str, pod: str) -> None:
        self._judge.ended(gang, pod)
        self._moved.set()
        one = self._alive.get(gang)
        if one is not None and not one.held and gang in self._empty:
            self._empty[gang].set()

    def _whole(self, gang: Gang) -> None:
        self.figures.waits.append(time.monotonic() - gang.made)
        self._tell(len(self.figures.waits))
        self._empty[gang.name] = asyncio.Event()
        task = asyncio.create_task(self._leave(gang))
        self._leaving.add(task)
        task.add_done_callback(self._left)

    def _left(self, task: asyncio.Task[None]) -> None:
        self._leaving.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._broken = task
            self._moved.set()

    async def _leave(self, gang: Gang) -> None:
        await asyncio.sleep(self._run)
        choice = f"labelSelector={_LABEL}%3D{gang.name}&gracePeriodSeconds=0"
        pods = f"api/v1/namespaces/{SPACE}/pods?{choice}"
        async with self._slots:
            await surely(lambda: self._cluster.request("DELETE", pods))
            await surely(lambda: self._cluster.delete(POD_GROUP, gang.name, SPACE))
        await self._empty[gang.name].wait()
        self._judge.gone(gang.name)
        del self._alive[gang.name], self._empty[gang.name]
        self._asked -= gang.size * gang.cpu
        self._moved.set()


def group_of(gang: Gang) -> Object:
    """Its PodGroup, in a queue that it has no business in."""
    return {
        "apiVersion": "scheduling.volcano.sh/v1beta1", "kind": "PodGroup",
        "metadata": {"name": gang.name, "namespace": SPACE},
        "spec": {
            "minMember": gang.size, "queue": "default",
            "minResources": {"cpu": f"{gang.size * gang.cpu}m"},
        },
    }  # fmt: skip


def pod_of(gang: Gang, number: int) -> Object:
    """One of its pods, which names no scheduler."""
    container = {"name": "c", "image": "none", "resources": {"requests": {"cpu": f"{gang.cpu}m"}}}
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": f"{gang.name}-{number}", "namespace": SPACE, "labels": {_LABEL: gang.name},
            "annotations": {GROUP_NAME: gang.name},
        },
        "spec": {
            "terminationGracePeriodSeconds": 0, "automountServiceAccountToken": False,
            "containers": [container],
        },
    }  # fmt: skip
