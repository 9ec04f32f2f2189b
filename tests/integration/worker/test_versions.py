"""Two versions of the worker at one host: the older one leaves alone what the newer one has written."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from atoll.cluster.client import Cluster
from atoll.cluster.kinds import LEASE, NAMESPACE, VIRTUAL_CLUSTER
from atoll.domain.names import ANNOTATION_WORKER, lease_name
from atoll.errors import NotFoundError
from atoll.settings import Settings
from atoll_worker.adapters.helm import HelmReleases
from atoll_worker.adapters.redis_store import RedisStore
from atoll_worker.reconcile.runner import Runner
from atoll_worker.reconcile.steps import all_steps

NAME = "versions"
SYSTEM = "versions-system"


@pytest.fixture
async def host(api_server: Path) -> AsyncIterator[Cluster]:
    """A host with one virtual cluster, of a team that does not exist."""
    async with Cluster.from_file(api_server) as cluster:
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}}
        await cluster.apply(space)
        wish = {
            "apiVersion": "atoll.dev/v1alpha1",
            "kind": "VirtualCluster",
            "metadata": {"name": NAME},
            "spec": {"team": "nobody", "quota": {"cpu": "1"}},
        }
        await remove(cluster)
        await cluster.create(wish)
        yield cluster
        await remove(cluster)
        await cluster.delete(NAMESPACE, SYSTEM)


async def remove(cluster: Cluster) -> None:
    """The virtual cluster away, whoever has put a finalizer on it meanwhile."""
    while await cluster.find(VIRTUAL_CLUSTER, NAME):
        with suppress(NotFoundError):
            await cluster.patch(VIRTUAL_CLUSTER, NAME, {"metadata": {"finalizers": None}})
            await cluster.delete(VIRTUAL_CLUSTER, NAME)
        await asyncio.sleep(0.1)


async def look(host: Cluster, version: str, **settings: Any) -> str:
    """What a worker of that version makes of the virtual cluster, asked for with another quota."""
    found = await host.get(VIRTUAL_CLUSTER, NAME)
    more = {"spec": {"quota": {"cpu": str(found["metadata"]["generation"] + 1)}}}
    await host.patch(VIRTUAL_CLUSTER, NAME, more)
    given = Settings(namespace=SYSTEM, **settings)
    return await Runner(
        host, given, HelmReleases("helm", None), RedisStore, all_steps(), version
    ).look(NAME)


async def seen_generation(host: Cluster) -> int:
    found: int = (await host.get(VIRTUAL_CLUSTER, NAME))["status"]["observedGeneration"]
    return found


def outdated() -> float:
    labels = {"result": "outdated"}
    return REGISTRY.get_sample_value("atoll_look_duration_seconds_count", labels) or 0.0


async def test_the_older_worker_steps_back_until_an_admin_rolls_back(host: Cluster) -> None:
    assert await look(host, "0.1.0") == "failed"  # there is no such team, and the status says so
    assert await look(host, "0.2.0") == "failed"
    seen, lease = await seen_generation(host), await host.get(LEASE, lease_name(NAME), SYSTEM)
    assert lease["metadata"]["annotations"][ANNOTATION_WORKER] == "0.2.0"

    counted = outdated()
    assert await look(host, "0.1.0") == "outdated"
    assert outdated() == counted + 1
    assert await seen_generation(host) == seen
    assert await host.get(LEASE, lease_name(NAME), SYSTEM) == lease

    assert await look(host, "0.2.0") == "failed"
    assert await seen_generation(host) == seen + 2
    assert await look(host, "0.1.0", take_over_newer=True) == "failed"
    assert await look(host, "0.1.0") == "failed"


async def test_the_older_worker_does_not_delete_either(host: Cluster) -> None:
    assert await look(host, "0.2.0") == "failed"
    await host.delete(VIRTUAL_CLUSTER, NAME)
    settings = Settings(namespace=SYSTEM)
    old = Runner(host, settings, HelmReleases("helm", None), RedisStore, all_steps(), "0.1.0")
    assert await old.look(NAME) == "outdated"
    assert (await host.get(VIRTUAL_CLUSTER, NAME))["metadata"]["finalizers"]
