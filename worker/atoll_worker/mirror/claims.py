"""Whose the names of a shared virtual cluster's gangs are, as its host namespace notes it."""

import structlog

from atoll.cluster.client import Cluster
from atoll.cluster.kinds import NAMESPACE
from atoll.domain import gangs, names

log = structlog.get_logger()


class Claims:
    """The note on the host namespace, and the gangs that wait for room in it, first come first."""

    def __init__(self, host: Cluster, namespace: str) -> None:
        self._host, self._namespace = host, namespace
        self._holders: dict[str, str] = {}
        self._bytes = 0
        self._waiting: dict[str, None] = {}

    async def learn(self) -> list[str]:
        """Read the note; the gangs that are in it. Raises the cluster's errors."""
        found = await self._host.get(NAMESPACE, self._namespace)
        notes = found["metadata"].get("annotations") or {}
        self._keep(gangs.read_claims(notes.get(names.ANNOTATION_GANGS, "")))
        return list(self._holders)

    def holder(self, gang: str) -> str | None:
        """The virtual namespace that has the name; None when nobody has."""
        return self._holders.get(gang)

    def first_waiting(self) -> str | None:
        """The gang that has waited for room the longest."""
        return next(iter(self._waiting), None)

    def fits(self, gang: str, holder: str) -> bool:
        """Whether the note can take it. What was noted already stays, also beyond the limit."""
        before = self._holders.get(gang)
        if before == holder:
            return True
        if before is None and len(self._holders) >= gangs.MOST_GANGS:
            return False
        freed = gangs.claim_bytes(gang, before) if before is not None else 0
        after = self._bytes - freed + gangs.claim_bytes(gang, holder)
        return after <= gangs.CLAIMS_LIMIT

    async def take(self, gang: str, holder: str) -> bool:
        """Note whose the name is; False when it is noted already. Raises the cluster's errors."""
        noted = self._holders.get(gang) == holder
        if not noted:
            await self._write({**self._holders, gang: holder})
        self._waiting.pop(gang, None)
        return not noted

    async def give_back(self, gang: str) -> None:
        """The name is nobody's any more, and the gang waits no longer."""
        if gang in self._holders:
            await self._write({g: h for g, h in self._holders.items() if g != gang})
        self._waiting.pop(gang, None)

    def wait(self, gang: str) -> None:
        """There is no room for it now."""
        if not self._waiting:
            log.warning("mirror.no_room", namespace=self._namespace, gangs=len(self._holders))
        self._waiting.setdefault(gang)

    async def _write(self, claims: dict[str, str]) -> None:
        notes = {names.ANNOTATION_GANGS: gangs.written_claims(claims) or None}
        await self._host.patch(NAMESPACE, self._namespace, {"metadata": {"annotations": notes}})
        self._keep(claims)

    def _keep(self, claims: dict[str, str]) -> None:
        self._holders = claims
        self._bytes = len(gangs.written_claims(claims))
