"""One shared virtual cluster: its PodGroups on the host, and their fate back inside."""

import asyncio
import base64
import time
from dataclasses import dataclass
from typing import Any

import structlog

from atoll.cluster.client import Cluster, Object
from atoll.cluster.drift import says
from atoll.cluster.kinds import POD_GROUP
from atoll.domain import gangs, names
from atoll.errors import AtollError, ForbiddenError, InvalidError, NotFoundError
from atoll.telemetry import worker_metrics
from atoll_worker.mirror.claims import Claims
from atoll_worker.mirror.clearing import Clearing
from atoll_worker.mirror.pictures import Picture

log = structlog.get_logger()
_RETRY_SECONDS = 1.0
_FAULT_SECONDS = 30.0


class FencedError(Exception):
    """Another mirror is the writer now; nothing more may be written."""


@dataclass(frozen=True)
class Ticket:
    """What the worker has put in the access namespace: whose gangs to mirror, and the way inside."""

    virtual_cluster: str
    team: str
    version: str
    config: dict[str, Any]

    @classmethod
    def read(cls, secret: Object) -> "Ticket":
        """From the Secret. Raises one of MALFORMED for one that lacks a part, or has it in another form."""
        meta, data = secret["metadata"], secret["data"]
        cluster = {
            "server": base64.b64decode(data["server"]).decode(),
            "certificate-authority-data": data["ca.crt"],
        }
        user = {"token": base64.b64decode(data["token"]).decode()}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "it",
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "clusters": [{"name": "it", "cluster": cluster}],
            "users": [{"name": "it", "user": user}],
        }
        labels = meta["labels"]
        return cls(
            labels[names.LABEL_VIRTUAL_CLUSTER],
            labels[names.LABEL_TEAM],
            meta["resourceVersion"],
            config,
        )


class Tenant:
    """Settles one gang after the other by name, level-triggered: from what is there on both sides."""

    def __init__(self, host: Cluster, ticket: Ticket, groups: Picture, fence: int) -> None:
        self._host, self._ticket, self._outside, self._fence = host, ticket, groups, fence
        self._namespace = names.host_namespace(ticket.virtual_cluster)
        self._dirty: dict[str, float] = {}
        self._wake = asyncio.Event()
        self._claims = Claims(host, self._namespace)
        self._refusals: dict[str, int] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._clearing = Clearing()

    def poke(self, gang: str) -> None:
        """Look at this gang soon."""
        self._dirty.setdefault(gang, time.monotonic())
        self._wake.set()

    async def run(self) -> None:
        """Until cancelled. Raises FencedError when another mirror has taken over."""
        async with Cluster.from_dict(self._ticket.config) as inside:
            picture = Picture(inside, POD_GROUP, lambda g: self.poke(g["metadata"]["name"]))
            following = asyncio.create_task(picture.follow())
            try:
                await picture.synced.wait()
                await self._outside.synced.wait()
                await self._learn_claims()
                for _, gang in [k for k in self._outside.items if k[0] == self._namespace]:
                    self.poke(gang)
                await self._work(inside, picture)
            finally:
                for timer in self._timers.values():
                    timer.cancel()
                following.cancel()
                await asyncio.gather(following, return_exceptions=True)

    async def _learn_claims(self) -> None:
        while True:
            try:
                noted = await self._claims.learn()
            except AtollError:
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            for gang in noted:
                self.poke(gang)
            return

    async def _work(self, inside: Cluster, picture: Picture) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            todo, self._dirty = self._dirty, {}
            for gang, since in todo.items():
                # Thousands that have nothing to write must not hold the loop.
                await asyncio.sleep(0)
                again = await self._try(inside, picture, gang, since)
                if again:
                    self._poke_later(gang, again)

    async def _try(
        self, inside: Cluster, picture: Picture, gang: str, since: float
    ) -> float | None:
        """Settle one gang, whatever comes of it; the seconds after which to look again."""
        try:
            again = await self._settle(inside, picture, gang, since)
        except AtollError as error:
            log.warning("mirror.gang", gang=gang, detail=error.detail)
            return self._pause(gang)
        except FencedError:
            raise
        except Exception:
            # What a tenant wrote must not keep its other gangs from being mirrored.
            log.exception("mirror.gang_failed", gang=gang)
            return _FAULT_SECONDS
        self._refusals.pop(gang, None)
        return again

    def _pause(self, gang: str) -> float:
        """Twice as long after each refusal: what is refused for good must not be asked each second."""
        count = self._refusals[gang] = self._refusals.get(gang, 0) + 1
        return min(_RETRY_SECONDS * 2.0 ** min(count - 1, 10), _FAULT_SECONDS)

    def _poke_later(self, gang: str, seconds: float) -> None:
        """One timer for each gang, however often it is looked at in between."""
        if earlier := self._timers.pop(gang, None):
            earlier.cancel()
        loop = asyncio.get_running_loop()
        self._timers[gang] = loop.call_later(seconds, self._due, gang)

    def _due(self, gang: str) -> None:
        self._timers.pop(gang, None)
        self.poke(gang)

    async def _settle(
        self, inside: Cluster, picture: Picture, gang: str, since: float
    ) -> float | None:
        """One gang; the seconds after which to look again, where no change will tell."""
        claimants = picture.named(gang)
        copy = self._outside.items.get((self._namespace, gang))
        group = gangs.owner(claimants, self._claims.holder(gang))
        if group is None:
            await self._give_up(gang, copy)
            return None
        holder = group["metadata"]["namespace"]
        if not self._claims.fits(gang, holder):
            await self._leave_out(inside, claimants, gang, copy)
            return None
        await self._claim(gang, holder)
        others = [other for other in claimants if other is not group]
        for other in others:
            await self._tell(inside, other, gangs.refused(other, holder))
        again = None
        if others:
            again = await self._clearing.clear(inside, gang, holder)
        else:
            self._clearing.uncontested(gang)
        if copy is not None or again is None:
            await self._show(group, copy, since)
        if copy is not None and gangs.virtual_namespace(copy) == holder:
            await self._tell(inside, group, gangs.brought_back(copy))
        return again

    async def _show(self, group: Object, copy: Object | None, since: float) -> None:
        ticket = self._ticket
        wanted = gangs.mirrored(
            group, virtual_cluster=ticket.virtual_cluster, team=ticket.team, fence=self._fence
        )
        notes = wanted["metadata"]["annotations"]
        have = (copy or {}).get("metadata", {}).get("annotations") or {}
        keys = (names.ANNOTATION_HASH, names.ANNOTATION_VIRTUAL_NAMESPACE)
        noted = all(have.get(key) == notes[key] for key in keys)
        if copy is not None and noted and says(copy["spec"], wanted["spec"]):
            return
        await self._write(wanted)
        worker_metrics.gang("mirrored", time.monotonic() - since)

    async def _write(self, manifest: Object) -> None:
        try:
            await self._host.apply(manifest)
        except (ForbiddenError, InvalidError) as error:
            if "atoll-fence" in error.detail:
                raise FencedError(error.detail) from error
            raise

    async def _claim(self, gang: str, holder: str) -> None:
        """Note whose the name is, before anything of it can be placed."""
        if await self._claims.take(gang, holder):
            self._clearing.noted(gang)
            self._next_in_turn()

    def _next_in_turn(self) -> None:
        """There may be room now for the gang that has waited the longest; it calls the one after it."""
        if waiting := self._claims.first_waiting():
            self.poke(waiting)

    async def _leave_out(
        self, inside: Cluster, claimants: list[Object], gang: str, copy: Object | None
    ) -> None:
        """Without a note its pods could be anybody's, so it is not shown to the host. Nothing is tried
        again before a name is given back.
        """
        if copy is not None or self._claims.holder(gang) is not None:
            await self._give_up(gang, copy)
        self._claims.wait(gang)
        for group in claimants:
            await self._tell(inside, group, gangs.left_out())

    async def _give_up(self, gang: str, copy: Object | None) -> None:
        """Gone inside. A PodGroup that is not the mirror's (Volcano's own) is not in the picture."""
        if copy is not None and await self._host.delete(POD_GROUP, gang, self._namespace):
            worker_metrics.gang("removed", 0.0)
        self._clearing.forget(gang)
        await self._claims.give_back(gang)
        self._next_in_turn()

    async def _tell(self, inside: Cluster, group: Object, status: Object) -> None:
        if gangs.same_status(group.get("status"), status):
            return
        meta = group["metadata"]
        where = POD_GROUP, meta["name"], {"status": status}, meta["namespace"]
        try:
            # Volcano's definition keeps the status with the rest; where one has it apart, this leaves it.
            made = await inside.patch(*where)
            if not gangs.same_status(made.get("status"), status):
                await inside.patch(*where, status=True)
        except NotFoundError:
            return  # it went just now; the watch tells
