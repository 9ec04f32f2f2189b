"""Who mirrors: one process at a time, by a Lease that is only held while there is something to do."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import structlog
from structlog.contextvars import bound_contextvars

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import POD_GROUP, QUEUE, SECRET
from atoll.cluster.leases import HeldByOtherError, LeaseLostError, WriterLease, holder
from atoll.domain import gangs, names
from atoll.errors import AtollError, NotFoundError
from atoll.settings import Settings
from atoll.telemetry import worker_metrics
from atoll_worker.malformed import MALFORMED
from atoll_worker.mirror.pictures import Picture, key_of
from atoll_worker.mirror.tenant import FencedError, Tenant, Ticket

log = structlog.get_logger()
LEASE = "gang-mirror"
_LABELS = {names.LABEL_STEP: names.MIRROR_STEP}
_QUEUES = {names.LABEL_STEP: "host-queue"}
_AGAIN_SECONDS, _FAULT_SECONDS = 1.0, 3.0


Hint = Callable[[str], Awaitable[object]]


async def follow(host: Cluster, settings: Settings, hint: Hint) -> None:
    """Mirror the gangs of all shared virtual clusters, until cancelled.

    `hint` is called with a virtual cluster's name when the host's queue of it holds something else than
    before. Without a shared virtual cluster all this is one open watch and nothing else.
    """
    mirror = Mirror(host, settings, hint)
    async with asyncio.TaskGroup() as group:
        group.create_task(mirror.tickets.follow())
        group.create_task(mirror.run())


class Mirror:
    """Keeps one task per ticket while it holds the Lease."""

    def __init__(self, host: Cluster, settings: Settings, hint: Hint) -> None:
        self._host, self._settings, self._hint = host, settings, hint
        self._allocated: dict[str, str] = {}
        self._hints: set[asyncio.Task[object]] = set()
        self._changed = asyncio.Event()
        self.tickets = Picture(
            host, SECRET, lambda _: self._changed.set(),
            namespace=settings.mirror_namespace, labels=_LABELS,
        )  # fmt: skip
        self._tenants: dict[str, Tenant] = {}
        self._tasks: dict[str, tuple[str, asyncio.Task[None]]] = {}
        self._floor = 0

    async def run(self) -> None:
        """Until cancelled: wait for work, become the writer, work, let go."""
        while True:
            await self._changed.wait()
            if not self.tickets.items:
                self._changed.clear()
                continue
            try:
                lease = self._lease()
                async with lease.held():
                    await self._serve(lease.fence)
                continue
            except HeldByOtherError:
                pass
            except (LeaseLostError, FencedError) as error:
                log.warning("mirror.interrupted", detail=str(error))
                with contextlib.suppress(AtollError):
                    self._floor = await self._highest_fence()
            except AtollError as error:
                log.warning("mirror.lease", detail=error.detail)
            await asyncio.sleep(_AGAIN_SECONDS)

    def _lease(self) -> WriterLease:
        place, seconds = self._settings.namespace, self._settings.lease_seconds
        return WriterLease(self._host, place, LEASE, holder(), seconds, self._floor)

    async def _highest_fence(self) -> int:
        """Should the Lease have been lost, the copies still tell how far the count was."""
        try:
            copies = await self._host.items(POD_GROUP, labels=_LABELS)
        except NotFoundError:
            return 0
        return max(map(gangs.fence_of, copies), default=0)

    async def _serve(self, fence: int) -> None:
        """While there are tickets. Raises FencedError when another mirror is the writer."""
        groups = Picture(self._host, POD_GROUP, self._poke, labels=_LABELS)
        queues = Picture(self._host, QUEUE, self._tell, labels=_QUEUES)
        following = [asyncio.create_task(p.follow()) for p in (groups, queues)]
        log.info("mirror.leads", fence=fence)
        try:
            while self.tickets.items:
                self._changed.clear()
                self._sort_out(groups, fence)
                worker_metrics.mirrored_virtual_clusters(len(self._tasks))
                await self._changed.wait()
        finally:
            tasks = [*following, *(task for _, task in self._tasks.values())]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._tasks, self._tenants = {}, {}
            worker_metrics.mirrored_virtual_clusters(0)
        self._changed.set()

    def _sort_out(self, groups: Picture, fence: int) -> None:
        """A task for each ticket of the newest version, none for others."""
        tickets = {}
        for item in self.tickets.items.values():
            with contextlib.suppress(*MALFORMED):
                ticket = Ticket.read(item)
                tickets[ticket.virtual_cluster] = ticket
        for name, (version, task) in list(self._tasks.items()):
            if task.done():
                self._judge(task)
            if task.done() or name not in tickets or tickets[name].version != version:
                task.cancel()
                del self._tasks[name], self._tenants[name]
        for name, ticket in tickets.items():
            if name not in self._tasks:
                self._tenants[name] = Tenant(self._host, ticket, groups, fence)
                task = asyncio.create_task(_run(self._tenants[name], ticket))
                task.add_done_callback(lambda _: self._changed.set())
                self._tasks[name] = ticket.version, task

    def _judge(self, task: asyncio.Task[None]) -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None:
            raise error

    def _tell(self, queue: Object) -> None:
        labels = queue["metadata"].get("labels") or {}
        name = labels.get(names.LABEL_VIRTUAL_CLUSTER)
        if not name:
            return  # somebody has taken our labels away; the next look at the virtual cluster mends it
        allocated = str((queue.get("status") or {}).get("allocated"))
        if self._allocated.get(name) == allocated:
            return
        self._allocated[name] = allocated
        task = asyncio.ensure_future(self._hint(name))
        self._hints.add(task)
        task.add_done_callback(self._hints.discard)

    def _poke(self, group: Object) -> None:
        namespace, gang = key_of(group)
        for name, tenant in self._tenants.items():
            if names.host_namespace(name) == namespace:
                tenant.poke(gang)
                return


async def _run(tenant: Tenant, ticket: Ticket) -> None:
    """One virtual cluster's fault must not take the others down; only a lost lease ends all.

    Whatever is logged of it meanwhile says whose it is.
    """
    with bound_contextvars(team=ticket.team, virtual_cluster=ticket.virtual_cluster):
        try:
            await tenant.run()
        except FencedError:
            raise
        except Exception:
            log.exception("mirror.tenant")
            await asyncio.sleep(_FAULT_SECONDS)
