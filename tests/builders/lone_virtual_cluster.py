"""One virtual cluster on a bare API server, of a team that does not exist, and a worker's look at it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from atoll import __version__
from atoll.cluster.client import Cluster
from atoll.cluster.kinds import NAMESPACE, VIRTUAL_CLUSTER
from atoll.errors import NotFoundError
from atoll.settings import Settings
from atoll_worker.adapters.helm import HelmReleases
from atoll_worker.adapters.redis_store import RedisStores
from atoll_worker.reconcile.runner import Runner
from atoll_worker.reconcile.step import Step
from atoll_worker.reconcile.steps import all_steps


@asynccontextmanager
async def lone(api_server: Path, name: str, cpu: str) -> AsyncIterator[Cluster]:
    """A host with the virtual cluster `name`, whose quota says so much CPU; it is gone at the end."""
    async with Cluster.from_file(api_server) as cluster:
        system = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": system_of(name)}}
        await cluster.apply(system)
        await _remove(cluster, name)
        await cluster.create({
            "apiVersion": "atoll.dev/v1alpha1", "kind": "VirtualCluster", "metadata": {"name": name},
            "spec": {"team": "nobody", "quota": {"cpu": cpu}},
        })  # fmt: skip
        yield cluster
        await _remove(cluster, name)
        await cluster.delete(NAMESPACE, system_of(name))


def system_of(name: str) -> str:
    """The namespace of the leases of its workers."""
    return f"{name}-system"


async def look(
    host: Cluster,
    name: str,
    version: str = __version__,
    steps: Sequence[Step] | None = None,
    **settings: Any,
) -> str:
    """What a worker of that version, with these steps or all, makes of it, in one word."""
    given = Settings(namespace=system_of(name), **settings)
    helm = HelmReleases("helm", None)
    steps = all_steps() if steps is None else steps
    return await Runner(host, given, helm, RedisStores(), steps, version).look(name)


async def _remove(cluster: Cluster, name: str) -> None:
    """The virtual cluster away, whoever has put a finalizer on it meanwhile."""
    while await cluster.find(VIRTUAL_CLUSTER, name):
        with suppress(NotFoundError):
            await cluster.patch(VIRTUAL_CLUSTER, name, {"metadata": {"finalizers": None}})
            await cluster.delete(VIRTUAL_CLUSTER, name)
        await asyncio.sleep(0.1)
