"""What one pass over one virtual cluster has read and may use."""

import asyncio
import base64
import contextlib
import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import yaml

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import POD, SECRET, SERVICE
from atoll.domain import names
from atoll.domain.queue_shares import QueueShare, queue_share
from atoll.errors import TemporaryError
from atoll.resources.profiles import Profile
from atoll.resources.teams import Team
from atoll.resources.virtual_clusters import VirtualCluster
from atoll.settings import Settings
from atoll_worker.reconcile.ports import GcsStore, Instance, OpenStore, Releases

_REDIS_PODS = {"release": "atoll.redis"}
"""Label of helm/tenant's Redis and Sentinel pods."""
_REDIS_PORT, _SENTINEL_PORT = 6379, 26379
_SANDBOX_PORTS = "sandbox.atoll.dev/ports"
"""Service port -> address on this machine, as JSON; written by the sandbox."""


@dataclass
class Scope:
    """Handed to every step. `team` and `profile` are None when they do not exist."""

    vc: VirtualCluster
    team: Team | None
    profile: Profile | None
    host: Cluster
    settings: Settings
    releases: Releases
    open_store: OpenStore
    host_kubeconfig: Path | None
    unreadable: str = ""
    """Why the stored team or profile cannot be read, in words; empty when they can."""
    fence: int = 0
    dry: bool = False
    _inside: Cluster | None = None
    _inside_file: Path | None = None
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)

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

    async def gcs_store(self) -> GcsStore:
        """The virtual cluster's Redis, by the administrator's password.

        Raises NotFoundError while its Secret is not there, TemporaryError while no pod has an address.
        """
        secret = await self.host.get(SECRET, "redis", self.namespace)
        instances = await self._redis_instances()
        if not instances:
            raise TemporaryError("No Redis pod has an address yet", reason="RedisUnreachable")
        return self.open_store(instances, _decoded(secret, "password"))

    async def _redis_instances(self) -> list[Instance]:
        """Every Redis process, by pod address; on a sandbox by what its Service's annotation says."""
        if self.settings.reach == "kubeconfig":
            service = await self.host.find(SERVICE, "redis", self.namespace) or {"metadata": {}}
            notes = service["metadata"].get("annotations") or {}
            ports = json.loads(notes.get(_SANDBOX_PORTS, "{}"))
            places = [address.rpartition(":") for address in ports.values()]
            return [Instance("redis-0", host, int(port)) for host, _, port in places]
        pods = await self.host.items(POD, self.namespace, labels=_REDIS_PODS)
        living = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
        return sorted(
            (_instance(pod) for pod in living if pod["status"].get("podIP")), key=lambda i: i.name
        )


def _instance(pod: Object) -> Instance:
    sentinel = pod["metadata"]["labels"]["app"] == "redis-sentinel"
    port = _SENTINEL_PORT if sentinel else _REDIS_PORT
    return Instance(pod["metadata"]["name"], pod["status"]["podIP"], port, sentinel)


def _decoded(secret: Object, key: str) -> str:
    data: dict[str, Any] = secret.get("data") or {}
    return base64.b64decode(data[key]).decode()
