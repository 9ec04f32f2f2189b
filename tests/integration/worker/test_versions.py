"""Two versions of the worker at one host: the older one leaves alone what the newer one has written."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from atoll.cluster.client import Cluster
from atoll.cluster.kinds import LEASE, VIRTUAL_CLUSTER
from atoll.domain.names import ANNOTATION_WORKER, lease_name
from builders import lone_virtual_cluster
from builders.lone_virtual_cluster import lone, system_of

NAME = "versions"
SYSTEM = system_of(NAME)


@pytest.fixture
async def host(api_server: Path) -> AsyncIterator[Cluster]:
    """A host with one virtual cluster, of a team that does not exist."""
    async with lone(api_server, NAME, cpu="1") as cluster:
        yield cluster


async def look(host: Cluster, version: str, **settings: Any) -> str:
    """What a worker of that version makes of the virtual cluster, asked for with another quota."""
    found = await host.get(VIRTUAL_CLUSTER, NAME)
    more = {"spec": {"quota": {"cpu": str(found["metadata"]["generation"] + 1)}}}
    await host.patch(VIRTUAL_CLUSTER, NAME, more)
    return await lone_virtual_cluster.look(host, NAME, version, **settings)


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
    assert await lone_virtual_cluster.look(host, NAME, "0.1.0") == "outdated"
    assert (await host.get(VIRTUAL_CLUSTER, NAME))["metadata"]["finalizers"]
