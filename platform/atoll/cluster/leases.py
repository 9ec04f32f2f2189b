"""One writer per virtual cluster: a Kubernetes Lease whose transitions count is the fence.

Contract: https://kubernetes.io/docs/concepts/architecture/leases/
"""

import asyncio
import contextlib
import os
import socket
import threading
from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime, timedelta
from typing import Any

from atoll import __version__
from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import LEASE, VIRTUAL_CLUSTER
from atoll.domain.names import ANNOTATION_WORKER, virtual_cluster_of_lease
from atoll.domain.versions import is_newer_release
from atoll.errors import AtollError, ConflictError, NotFoundError, StaleWriteError


class HeldByOtherError(ConflictError):
    """Another worker is the writer right now."""

    code, title = "held", "Another worker is at it"


class LeaseLostError(ConflictError):
    """We were the writer and are no longer; whatever was under way must stop."""

    code, title = "lease_lost", "The lease was lost"


class OutdatedError(ConflictError):
    """A newer version of the worker has been the writer; what it wrote is left alone."""

    code, title = "outdated", "A newer worker has written here"


def holder() -> str:
    """Who we are for a lease: `host/process/thread`, as each thread of a worker works on its own."""
    return f"{socket.gethostname()}/{os.getpid()}/{threading.get_native_id()}"


def _micro(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _parse(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _expired(spec: dict[str, Any]) -> bool:
    renewed = _parse(spec.get("renewTime") or "1970-01-01T00:00:00Z")
    return datetime.now(UTC) - renewed > timedelta(seconds=spec["leaseDurationSeconds"])


class WriterLease:
    """The lease of one name in one namespace, for one holder."""

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        name: str,
        holder: str,
        seconds: float,
        floor: int = 0,
        *,
        version: str = __version__,
        over_newer: bool = False,
    ) -> None:
        """`floor` is the highest fence known to have been used, should the Lease have been lost.

        `version` is the holder's own; with `over_newer` it follows a writer of a newer version too.
        """
        self._cluster, self._namespace, self._name = cluster, namespace, name
        self._holder, self._seconds, self._floor = holder, seconds, floor
        self._version, self._over_newer = version, over_newer
        self._lease: Object = {}

    @property
    def fence(self) -> int:
        """Grows with every change of the writer; objects we write carry it."""
        return int(self._lease["spec"].get("leaseTransitions", 0))

    async def take(self) -> None:
        """Become the writer.

        Raises HeldByOtherError when a living holder has it, OutdatedError when the last one was of a
        newer version.
        """
        found = await self._cluster.find(LEASE, self._name, self._namespace)
        self._refuse_after_newer(found)
        try:
            if found is None:
                self._lease = await self._cluster.create(self._manifest({}, self._floor + 1))
                return
            spec = found["spec"]
            holder = spec.get("holderIdentity")
            if holder and holder != self._holder and not _expired(spec):
                raise HeldByOtherError(f"{self._name} is held by {holder}")
            count = max(int(spec.get("leaseTransitions", 0)), self._floor)
            transitions = count + (holder != self._holder)
            self._lease = await self._cluster.replace(self._manifest(found, transitions))
        except (StaleWriteError, ConflictError) as error:
            raise HeldByOtherError(f"{self._name}: another worker was faster") from error

    async def left_behind(self) -> bool:
        """Whether a writer died at its work: it is still the holder and has let the lease run out.

        Raises HeldByOtherError when a living one is at it, OutdatedError when the last one was of a
        newer version. Writes nothing.
        """
        found = await self._cluster.find(LEASE, self._name, self._namespace)
        self._refuse_after_newer(found)
        spec = (found or {}).get("spec", {})
        holder = spec.get("holderIdentity")
        if holder and holder != self._holder and not _expired(spec):
            raise HeldByOtherError(f"{self._name} is held by {holder}")
        return bool(holder)

    def _refuse_after_newer(self, found: Object | None) -> None:
        """Two versions have two opinions of one release and would upgrade it to and fro."""
        marks = (found or {}).get("metadata", {}).get("annotations") or {}
        told = marks.get(ANNOTATION_WORKER)
        if is_newer_release(told, self._version) and not self._over_newer:
            raise OutdatedError(
                f"{self._name}: a worker of version {told} was the writer and this one is "
                f"{self._version}; it leaves alone what a newer one has written"
            )

    def _manifest(self, found: Object, transitions: int) -> Object:
        now = _micro(datetime.now(UTC))
        old = found.get("spec", {})
        same = old.get("holderIdentity") == self._holder
        meta = found.get("metadata") or {"name": self._name, "namespace": self._namespace}
        marks = {**(meta.get("annotations") or {}), ANNOTATION_WORKER: self._version}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {**meta, "annotations": marks},
            "spec": {
                "holderIdentity": self._holder,
                "leaseDurationSeconds": max(1, round(self._seconds)),
                "acquireTime": old["acquireTime"] if same else now,
                "renewTime": now,
                "leaseTransitions": transitions,
            },
        }

    async def renew(self) -> None:
        """Stay the writer. Raises LeaseLostError when somebody else took over."""
        try:
            self._lease = await self._cluster.replace(self._manifest(self._lease, self.fence))
        except ConflictError as error:
            raise LeaseLostError(f"{self._name}: another worker took over") from error

    async def release(self) -> None:
        """Let the next worker begin at once. The count stays, so the fence never goes back."""
        freed = {**self._lease, "spec": {**self._lease["spec"], "holderIdentity": ""}}
        with contextlib.suppress(AtollError):  # the lease runs out by itself
            await self._cluster.replace(freed)

    async def forget(self) -> None:
        """Remove the lease; for a virtual cluster that is gone for good."""
        await self._cluster.delete(LEASE, self._name, self._namespace)

    async def _renew_until_lost(self) -> Exception:
        """Renew again and again; the reason why we may no longer count as the writer.

        Work ends before the lease does, also when the API server hangs: a renewal may take a quarter
        of the lease at most, and we let go at three quarters after the last one that was begun and
        succeeded.
        """
        clock, step = asyncio.get_running_loop().time, self._seconds / 4
        renewed = clock()
        while True:
            await asyncio.sleep(step)
            begun = clock()
            try:
                async with asyncio.timeout(step):
                    await self.renew()
                renewed = begun
            except (LeaseLostError, NotFoundError) as error:
                return error
            except (AtollError, TimeoutError) as error:
                if clock() - renewed >= 3 * step - 0.01:
                    return error

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Take, renew in the background, release. Work inside is cancelled when the lease is lost."""
        await self.take()
        work = asyncio.current_task()
        lost: list[BaseException] = []

        async def keep() -> None:
            error = await self._renew_until_lost()
            lost.append(error)
            if work:
                work.cancel()

        keeper = asyncio.create_task(keep())
        try:
            yield
        except asyncio.CancelledError:
            if lost and work:
                work.uncancel()
                raise LeaseLostError(f"{self._name}: {lost[0]}") from lost[0]
            raise
        finally:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper
            if not lost:
                await self.release()


async def sweep(cluster: Cluster, namespace: str, existing: Collection[str]) -> list[str]:
    """For the sweeper: drop leases of virtual clusters that do not exist; returns their names.

    A look that began before a deletion and took the lease after it leaves one. `existing` may be old;
    when it lacks one that has a lease, all are read again. A lease that a living writer holds stays, and
    so does one that changes meanwhile, for the virtual cluster may have been made anew.
    """
    suspects = {
        owner: lease
        for lease in await cluster.items(LEASE, namespace)
        if (owner := virtual_cluster_of_lease(lease["metadata"]["name"]))
        and owner not in existing
        and not (lease["spec"].get("holderIdentity") and not _expired(lease["spec"]))
    }
    if not suspects:
        return []
    present = {item["metadata"]["name"] for item in await cluster.items(VIRTUAL_CLUSTER)}
    dropped = []
    for owner in sorted(set(suspects) - present):
        meta = suspects[owner]["metadata"]
        with contextlib.suppress(NotFoundError, StaleWriteError):
            await cluster.delete_at(LEASE, meta["name"], meta["resourceVersion"], namespace)
            dropped.append(owner)
    return dropped
