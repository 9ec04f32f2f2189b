"""What one pass over one virtual cluster has read and may use."""

import asyncio
import base64
import contextlib
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import SECRET, SERVICE
from atoll.domain import names
from atoll.domain.queue_shares import QueueShare, queue_share
from atoll.errors import TemporaryError
from atoll.resources.profiles import ExternalRedis, Profile
from atoll.resources.teams import Team
from atoll.resources.virtual_clusters import VirtualCluster
from atoll.settings import Settings
from atoll_worker.reconcile.listing import Listed, RayClusterList
from atoll_worker.reconcile.ports import (
    AdminStore,
    External,
    ExternalStore,
    GcsStore,
    Releases,
    Stores,
)
from atoll_worker.reconcile.stores import external_access, own_instances


@dataclass
class Scope:
    """Handed to every step. `team` and `profile` are None when they do not exist."""

    vc: VirtualCluster
    team: Team | None
    profile: Profile | None
    host: Cluster
    settings: Settings
    releases: Releases
    stores: Stores
    host_kubeconfig: Path | None
    unreadable: str = ""
    """Why the stored team or profile cannot be read, in words; empty when they can."""
    fence: int = 0
    dry: bool = False
    refusals: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """What a tenant's namespace did not let in during this pass, and in which words: by kind, namespace and
    name."""
    _inside: Cluster | None = None
    _inside_file: Path | None = None
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    _ray_clusters: RayClusterList = field(default_factory=RayClusterList)

    @property
    def namespace(self) -> str:
        """The host namespace of this virtual cluster."""
        return names.host_namespace(self.vc.name)

    @property
    def versions(self) -> Profile:
        """The profile, for steps that run after it was found."""
        assert self.profile is not None
        return self.profile

    @property
    def queue_share(self) -> QueueShare:
        """What its queue may hold, from its own quota and the team's limits and guarantees."""
        lines = self.team.spec.quota if self.team else {}
        return queue_share(
            self.vc.spec.quota,
            {resource: line.limit for resource, line in lines.items()},
            {r: line.guaranteed for r, line in lines.items() if line.guaranteed is not None},
        )

    def labels(self, step: str) -> dict[str, str]:
        """Labels of every object we write."""
        return {
            names.LABEL_MANAGED: "atoll",
            names.LABEL_TEAM: self.vc.spec.team,
            names.LABEL_VIRTUAL_CLUSTER: self.vc.name,
            names.LABEL_STEP: step,
        }

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def inside(self) -> Cluster:
        """The connection to the virtual cluster's API server; made once, from its exported Secret.

        Raises NotFoundError while the Secret is not there.
        """
        async with self._opening:
            if self._inside is None:
                config = await self.inside_config()
                self._inside = await self._stack.enter_async_context(Cluster.from_dict(config))
            return self._inside

    async def ray_clusters(self) -> Listed:
        """The Ray clusters of all namespaces inside, since the last change of any step; None while they are
        not served. Listed once for all. Raises as `inside` does.
        """
        return await self._ray_clusters.read(await self.inside())

    def changed(self) -> None:
        """A step has changed something, or tried to; what was read before may be out of date."""
        self._ray_clusters.changed()

    async def inside_config(self) -> Object:
        """The admin kubeconfig of the virtual cluster with the address that reaches it from here."""
        name = names.kubeconfig_secret(self.vc.name)
        secret = await self.host.get(SECRET, name, self.namespace)
        config: Object = yaml.safe_load(_decoded(secret, "config"))
        if self.settings.reach == "service":
            config["clusters"][0]["cluster"]["server"] = (
                f"https://{self.vc.name}.{self.namespace}.svc:443"
            )
        elif self.settings.reach == "cluster-ip":
            service = await self.host.get(SERVICE, self.vc.name, self.namespace)
            address = service["spec"]["clusterIP"]
            config["clusters"][0]["cluster"]["server"] = f"https://{address}:443"
        return config

    async def inside_file(self) -> Path:
        """The same kubeconfig as a file only we can read, for helm; gone with the scope."""
        if self._inside_file is None:
            folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="atoll-"))
            path = Path(folder) / "kubeconfig"
            path.touch(mode=0o600)
            path.write_text(yaml.safe_dump(await self.inside_config()))
            self._inside_file = path
        return self._inside_file

    @property
    def external(self) -> ExternalRedis | None:
        """The Redis that somebody else runs for it; None: it has its own, or its profile is not there."""
        return self.profile.spec.redis.external if self.profile else None

    async def gcs_store(self) -> GcsStore:
        """Where its Ray heads keep their state; raises as the two below do."""
        return await (self.external_store() if self.external else self.own_store())

    async def own_store(self) -> AdminStore:
        """The virtual cluster's own Redis, by the administrator's password.

        Raises NotFoundError while its Secret is not there, TemporaryError while no pod has an address.
        """
        secret = await self.host.get(SECRET, "redis", self.namespace)
        instances = await own_instances(self.host, self.settings, self.namespace)
        if not instances:
            raise TemporaryError("No Redis pod has an address yet", reason="RedisUnreachable")
        return self.stores.own(instances, _decoded(secret, "password"))

    async def external_store(self) -> ExternalStore:
        """The Redis of somebody else; raises PermanentError without its credentials."""
        return self.stores.external(await self.external_access())

    async def external_access(self) -> External:
        """Its address and credentials."""
        assert self.external is not None
        return await external_access(self.host, self.settings, self.vc, self.external)


def _decoded(secret: Object, key: str) -> str:
    data: dict[str, Any] = secret.get("data") or {}
    return base64.b64decode(data[key]).decode()
