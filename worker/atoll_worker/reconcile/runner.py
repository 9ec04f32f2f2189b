"""One look at one virtual cluster: dry first, and only when something is to do, as its writer."""

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeVar

import structlog
from pydantic import ValidationError

from atoll import __version__
from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import PROFILE, TEAM, VIRTUAL_CLUSTER
from atoll.cluster.leases import (
    HeldByOtherError,
    LeaseLostError,
    OutdatedError,
    WriterLease,
    holder,
)
from atoll.domain.names import FINALIZER, lease_name
from atoll.errors import AtollError, NotFoundError, StaleWriteError
from atoll.resources.faults import first_of
from atoll.resources.meta import Metadata, Resource, now_text
from atoll.resources.profiles import Profile
from atoll.resources.teams import Team
from atoll.resources.virtual_clusters import VirtualCluster, VirtualClusterStatus
from atoll.settings import Settings
from atoll.telemetry import worker_metrics as metrics
from atoll_worker.malformed import not_before
from atoll_worker.reconcile import unreadable
from atoll_worker.reconcile.engine import Engine, PassResult
from atoll_worker.reconcile.events import write_events, write_warning
from atoll_worker.reconcile.ports import Releases, Stores
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.status import differs, next_status, status_so_far
from atoll_worker.reconcile.step import Step

log = structlog.get_logger()
_TELL_SECONDS = 1.0
"""How often the status is told while a pass is at work, when it says something new."""
_LOOKS_IN_A_ROW = 3
"""How often one hint may find something new to write before others have their turn."""
R = TypeVar("R", bound=Resource)


class Runner:
    """Looks at virtual clusters over one connection to the host."""

    def __init__(
        self,
        host: Cluster,
        settings: Settings,
        releases: Releases,
        stores: Stores,
        steps: Sequence[Step],
        version: str = __version__,
    ) -> None:
        """`version` is that of this worker; what a newer one has written is left alone."""
        self._host, self._settings, self._releases = host, settings, releases
        self._stores = stores
        self._engine, self._version = Engine(steps), version

    async def look(self, name: str, about: dict[str, str] | None = None) -> str:
        """One look; answers in a word what came of it, as `atoll_look_duration_seconds` counts it.

        `about` gets whose work it is, for whoever has to tell that the look was cut short.
        """
        try:
            item = await self._host.get(VIRTUAL_CLUSTER, name)
        except NotFoundError:
            return "gone"
        started = time.perf_counter()
        context = _context(item)
        if about is not None:
            about.update(context)
        with structlog.contextvars.bound_contextvars(**context):
            try:
                word = await self._look(item)
            except HeldByOtherError:
                word = "held"
            except OutdatedError as error:
                log.warning("look.outdated", detail=error.detail)
                word = "outdated"
            except (LeaseLostError, StaleWriteError) as error:
                log.warning("look.interrupted", detail=error.detail)
                word = "interrupted"
            except NotFoundError:
                word = "gone"
        metrics.look(word, time.perf_counter() - started)
        return word

    async def _look(self, item: Object) -> str:
        try:
            vc = VirtualCluster.model_validate(item)
        except ValidationError as error:
            await self._tell_unreadable(item, unreadable.words(item, error))
            return "unreadable"
        if _too_early(vc):
            return "later"
        return await self._delete(vc) if vc.deleting else await self._converge(vc)

    async def _tell_unreadable(self, item: Object, message: str) -> None:
        """Say it in the status and by an event, once per generation."""
        log.warning("look.unreadable", detail=message)
        if unreadable.already_told(item):
            return
        meta = Metadata.model_validate(item["metadata"])
        fence = (item.get("status") or {}).get("fence", 0)
        async with self._lease(meta.name, fence).held():
            status = unreadable.status_of(item, message, now_text())
            body = {"metadata": {"resourceVersion": meta.resource_version}, "status": status}
            await self._host.patch(VIRTUAL_CLUSTER, meta.name, body, status=True)
        await write_warning(self._host, meta, unreadable.REASON, message)

    async def _read(self, name: str) -> VirtualCluster:
        return VirtualCluster.model_validate(await self._host.get(VIRTUAL_CLUSTER, name))

    def _lease(self, name: str, fence: int) -> WriterLease:
        return WriterLease(
            self._host,
            self._settings.namespace,
            lease_name(name),
            holder(),
            self._settings.lease_seconds,
            fence,
            version=self._version,
            over_newer=self._settings.take_over_newer,
        )

    async def _scope(self, vc: VirtualCluster, fence: int, *, dry: bool) -> Scope:
        team = await self._host.find(TEAM, vc.spec.team)
        profile = await self._host.find(PROFILE, vc.spec.profile)
        problems: list[str] = []
        return Scope(
            vc=vc,
            team=_read_stored(Team, team, problems),
            profile=_read_stored(Profile, profile, problems),
            unreadable="; ".join(problems),
            host=self._host,
            settings=self._settings,
            releases=self._releases,
            stores=self._stores,
            host_kubeconfig=self._settings.kubeconfig,
            fence=fence,
            dry=dry,
        )

    async def _converge(self, vc: VirtualCluster) -> str:
        """Until there was nothing to write. A hint that comes while we are the writer finds the lease held
        and is dropped, so what it told of must be looked for once we have written.
        """
        for _ in range(_LOOKS_IN_A_ROW):
            word, wrote = await self._converge_once(vc)
            if not wrote or word != "converged":  # what still waits is looked at each second anyway
                break
            vc = await self._read(vc.name)
            if vc.deleting:
                return await self._delete(vc)
        return word

    async def _converge_once(self, vc: VirtualCluster) -> tuple[str, bool]:
        """A dry look, and work as the writer if there is any: what came of it, and whether there was."""
        # Asked first: while another is at it a dry look is wasted, and after one that died it is late.
        if await self._lease(vc.name, vc.status.fence).left_behind():
            return await self._as_writer(vc), True
        async with await self._scope(vc, vc.status.fence, dry=True) as scope:
            result = await self._engine.run(scope)
            status = next_status(vc, result, datetime.now(UTC))
        unmarked = FINALIZER not in vc.metadata.finalizers
        if not result.changes and not unmarked and not differs(vc.status, status):
            if result.failed and not _too_early(vc):
                await self._as_writer(vc)  # to move the time of the next try
            return _word(result), False
        return await self._as_writer(vc), True

    async def _as_writer(self, vc: VirtualCluster) -> str:
        lease = self._lease(vc.name, vc.status.fence)
        async with lease.held():
            if lease.fence != vc.status.fence:
                metrics.lease_change()
            vc = await self._read(vc.name)
            if vc.deleting:
                return "later"
            if FINALIZER not in vc.metadata.finalizers:
                vc = await self._mark(vc)
            async with await self._scope(vc, lease.fence, dry=False) as scope:
                vc, result = await self._work(vc, scope)
                await self._write_status(vc, result, lease.fence)
        log.info("look.done", word=_word(result), changes=result.changes)
        return _word(result)

    async def _work(self, vc: VirtualCluster, scope: Scope) -> tuple[VirtualCluster, PassResult]:
        """One pass, told of while it lasts: an install of ten seconds must not hide what else has come."""
        one = self._engine.one_pass(scope)
        async with asyncio.TaskGroup() as group:
            work = group.create_task(one.run())
            while not (await asyncio.wait({work}, timeout=_TELL_SECONDS))[0]:
                status = status_so_far(vc, one, datetime.now(UTC))
                with contextlib.suppress(AtollError):  # what matters is told at the end
                    vc = await self._put_status(vc, status, scope.fence) if status else vc
        return vc, work.result()

    async def _mark(self, vc: VirtualCluster) -> VirtualCluster:
        """Put the finalizer on what came by kubectl, before anything is made for it."""
        meta = {
            "finalizers": [*vc.metadata.finalizers, FINALIZER],
            "resourceVersion": vc.metadata.resource_version,
        }
        body = {"metadata": meta}
        return VirtualCluster.model_validate(await self._host.patch(VIRTUAL_CLUSTER, vc.name, body))

    async def _write_status(self, vc: VirtualCluster, result: PassResult, fence: int) -> None:
        """Once, by compare and set; nothing when nothing changed."""
        status = next_status(vc, result, datetime.now(UTC), random.random())  # noqa: S311
        same_try = status.retry_at is None and vc.status.retry_at is None
        if not differs(vc.status, status) and same_try:
            return
        await self._put_status(vc, status, fence)

    async def _put_status(
        self, vc: VirtualCluster, status: VirtualClusterStatus, fence: int
    ) -> VirtualCluster:
        """By compare and set, with an event for each transition; the virtual cluster as it is then."""
        status.fence = fence
        raw: Object = {
            "apiVersion": "atoll.dev/v1alpha1",
            "kind": "VirtualCluster",
            "metadata": {"name": vc.name, "resourceVersion": vc.metadata.resource_version},
            "spec": vc.spec.dump(),
            "status": status.dump(),
        }
        written = VirtualCluster.model_validate(await self._host.replace(raw, status=True))
        await write_events(self._host, vc, status)
        return written

    async def _delete(self, vc: VirtualCluster) -> str:
        if FINALIZER not in vc.metadata.finalizers:
            return "gone"
        lease = self._lease(vc.name, vc.status.fence)
        async with lease.held():
            vc = await self._read(vc.name)
            async with await self._scope(vc, lease.fence, dry=False) as scope:
                result = await self._engine.remove(scope)
                if not result.whole:
                    await self._write_status(vc, result, lease.fence)
                    return _word(result)
            # The lease goes first: whoever dies here leaves a finalizer that calls the next worker,
            # while a lease that outlives its virtual cluster would call nobody.
            await lease.forget()
            await self._forget(vc)
        log.info("look.deleted")
        return "gone"

    async def _forget(self, vc: VirtualCluster) -> None:
        left = [f for f in vc.metadata.finalizers if f != FINALIZER]
        meta = {"finalizers": left, "resourceVersion": vc.metadata.resource_version}
        await self._host.patch(VIRTUAL_CLUSTER, vc.name, {"metadata": meta})


def _context(item: Object) -> dict[str, str]:
    """Whose work it is, for every line of the log; also of what cannot be read as a whole."""
    meta = item["metadata"]
    return {
        "team": str(item["spec"].get("team")),
        "virtual_cluster": meta["name"],
        "operation": f"{meta['uid']}.{meta['generation']}",
    }


def _read_stored(model: type[R], item: Object | None, problems: list[str]) -> R | None:
    """A stored object as its model; what kubectl wrote and our rules refuse becomes a problem in words."""
    if item is None:
        return None
    try:
        return model.model_validate(item)
    except ValidationError as error:
        problems.append(f"{model.KIND} {item['metadata']['name']}: {first_of(error)}")
        return None


def _too_early(vc: VirtualCluster) -> bool:
    """A failing one waits for its next try, unless what is asked for has changed."""
    status = vc.status
    if not status.retry_at or status.observed_generation != vc.metadata.generation:
        return False
    return not_before(status.retry_at) > datetime.now(UTC)


def _word(result: PassResult) -> str:
    if result.failed:
        return "failed"
    return "converged" if result.done else "waiting"
