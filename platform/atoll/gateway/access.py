"""The gateway's own, short-lived credential of each virtual cluster, as a worker left it."""

import asyncio
import base64
import binascii
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from atoll.cluster import kinds
from atoll.cluster.client import Cluster
from atoll.domain.names import access_secret, name_problem
from atoll.errors import ConflictError, NotFoundError
from atoll.resources.virtual_clusters import VirtualCluster

FRESH_SECONDS = 5.0
"""How long what was read is believed; a deleted virtual cluster is unreachable after that."""
_LONGEST = 512


@dataclass(frozen=True)
class Access:
    """Where a virtual cluster's API server is, how to know it, and a token for it."""

    server: str
    authority: str = field(repr=False)
    token: str = field(repr=False)
    expires_at: datetime

    @property
    def expired(self) -> bool:
        """Whether the API server will refuse the token, or is about to."""
        return self.expires_at <= datetime.now(UTC) + timedelta(seconds=5)


@dataclass(frozen=True)
class _Read:
    cluster: VirtualCluster
    access: Access | None
    at: float


class AccessStore:
    """Virtual clusters and their access Secrets, read from the host and believed for a moment."""

    def __init__(
        self, host: Cluster, namespace: str, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._host = host
        self._namespace = namespace
        self._clock = clock
        self._known: dict[str, _Read] = {}
        self._reading: dict[str, asyncio.Lock] = {}

    async def virtual_cluster(self, name: str) -> VirtualCluster:
        """The virtual cluster; NotFoundError when there is none of that name."""
        return (await self._look(name)).cluster

    async def access(self, name: str) -> Access:
        """A usable credential. ConflictError (code "not_ready") says which step is missing."""
        found = await self._look(name)
        if found.access is None or found.access.expired:
            self.forget(name)
            found = await self._look(name)
        if found.access is None or found.access.expired:
            raise _not_ready(found.cluster, found.access)
        return found.access

    def forget(self, name: str) -> None:
        """Read again at the next question: the credential was refused."""
        self._known.pop(name, None)

    async def _look(self, name: str) -> _Read:
        found = self._known.get(name)
        if found and self._clock() - found.at < FRESH_SECONDS:
            return found
        if name_problem(name):
            raise NotFoundError(f"There is no virtual cluster {name[:40]!r}.")
        # One read for many who ask at once: a dashboard sends dozens of requests together.
        async with self._reading.setdefault(name, asyncio.Lock()):
            found = self._known.get(name)
            if found and self._clock() - found.at < FRESH_SECONDS:
                return found
            try:
                return self._keep(name, await self._read(name))
            finally:
                self._reading.pop(name, None)

    def _keep(self, name: str, read: _Read) -> _Read:
        self._known.pop(name, None)
        while len(self._known) >= _LONGEST:
            self._known.pop(next(iter(self._known)))
        self._known[name] = read
        return read

    async def _read(self, name: str) -> _Read:
        try:
            found = await self._host.get(kinds.VIRTUAL_CLUSTER, name)
        except NotFoundError:
            self.forget(name)
            raise NotFoundError(f"There is no virtual cluster {name!r}.") from None
        secret = await self._host.find(kinds.SECRET, access_secret(name), self._namespace)
        return _Read(VirtualCluster.model_validate(found), _parse(secret), self._clock())


def _parse(secret: dict[str, Any] | None) -> Access | None:
    """The Secret's four keys; None when it is missing or not whole yet."""
    data: dict[str, str] = (secret or {}).get("data") or {}
    try:
        server, authority, token, until = (
            base64.b64decode(data[key]).decode()
            for key in ("server", "ca.crt", "token", "expires_at")
        )
        expires = datetime.fromisoformat(until.strip())
    except (KeyError, ValueError, binascii.Error):
        return None
    aware = expires if expires.tzinfo else expires.replace(tzinfo=UTC)
    return Access(server.strip().rstrip("/"), authority, token.strip(), aware)


def _not_ready(cluster: VirtualCluster, access: Access | None) -> ConflictError:
    step = cluster.condition("AccessReady")
    if access is not None:
        why = f"its access expired at {access.expires_at.isoformat()} and a worker must renew it"
    elif step.status == "True":
        why = "its access is being renewed"
    else:
        why = f"step AccessReady: {step.message or step.reason}"
    return ConflictError(
        f"Virtual cluster {cluster.name!r} cannot be reached yet: {why}. "
        "Look at its steps and try again.",
        code="not_ready",
        who="nobody",
    )
