"""A virtual cluster that kubectl wrote past our rules, on a real API server."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atoll.cluster.client import Cluster
from atoll.cluster.kinds import EVENT, NAMESPACE, VIRTUAL_CLUSTER
from atoll.settings import Settings
from atoll_worker.adapters.helm import HelmReleases
from atoll_worker.adapters.redis_store import RedisStore
from atoll_worker.reconcile.runner import Runner
from atoll_worker.reconcile.steps import all_steps

NAME = "unreadable"
SYSTEM = "unreadable-system"


@pytest.fixture
async def host(api_server: Path) -> AsyncIterator[Cluster]:
    """A host where somebody has asked for `much` CPU."""
    async with Cluster.from_file(api_server) as cluster:
        space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM}}
        await cluster.apply(space)
        wish = {
            "apiVersion": "atoll.dev/v1alpha1",
            "kind": "VirtualCluster",
            "metadata": {"name": NAME},
            "spec": {"team": "nobody", "quota": {"cpu": "much"}},
        }
        await cluster.create(wish)
        yield cluster
        await cluster.patch(VIRTUAL_CLUSTER, NAME, {"metadata": {"finalizers": None}})
        await cluster.delete(VIRTUAL_CLUSTER, NAME)
        await cluster.delete(NAMESPACE, SYSTEM)


def ready(found: dict[str, Any]) -> dict[str, Any]:
    conditions: list[dict[str, Any]] = found["status"]["conditions"]
    return next(c for c in conditions if c["type"] == "Ready")


async def test_status_and_event_say_what_to_mend_once(host: Cluster) -> None:
    settings = Settings(namespace=SYSTEM)
    runner = Runner(host, settings, HelmReleases("helm", None), RedisStore, all_steps())
    assert await runner.look(NAME) == "unreadable"
    found = await host.get(VIRTUAL_CLUSTER, NAME)
    assert found["status"]["phase"] == "Failed"
    assert ready(found)["reason"] == "StoredInvalid"
    assert "spec.quota.cpu: 'much' is not a quantity" in ready(found)["message"]
    assert "kubectl edit" in ready(found)["message"]

    assert await runner.look(NAME) == "unreadable"
    assert await host.get(VIRTUAL_CLUSTER, NAME) == found
    events = [
        (event["type"], event["message"])
        for event in await host.items(EVENT, "default")
        if event["involvedObject"]["uid"] == found["metadata"]["uid"]
    ]
    assert events == [("Warning", ready(found)["message"])]

    await host.patch(VIRTUAL_CLUSTER, NAME, {"spec": {"quota": {"cpu": "1"}}})
    assert await runner.look(NAME) == "failed"  # it is read again: there is no such team
    assert ready(await host.get(VIRTUAL_CLUSTER, NAME))["reason"] == "TeamMissing"
