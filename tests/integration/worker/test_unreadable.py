"""A virtual cluster that kubectl wrote past our rules, on a real API server."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atoll.cluster.client import Cluster
from atoll.cluster.kinds import EVENT, VIRTUAL_CLUSTER
from builders.lone_virtual_cluster import lone, look

NAME = "unreadable"


@pytest.fixture
async def host(api_server: Path) -> AsyncIterator[Cluster]:
    """A host where somebody has asked for `much` CPU."""
    async with lone(api_server, NAME, cpu="much") as cluster:
        yield cluster


def ready(found: dict[str, Any]) -> dict[str, Any]:
    conditions: list[dict[str, Any]] = found["status"]["conditions"]
    return next(c for c in conditions if c["type"] == "Ready")


async def test_status_and_event_say_what_to_mend_once(host: Cluster) -> None:
    assert await look(host, NAME) == "unreadable"
    found = await host.get(VIRTUAL_CLUSTER, NAME)
    assert found["status"]["phase"] == "Failed"
    assert ready(found)["reason"] == "StoredInvalid"
    assert "spec.quota.cpu: 'much' is not a quantity" in ready(found)["message"]
    assert "kubectl edit" in ready(found)["message"]

    assert await look(host, NAME) == "unreadable"
    assert await host.get(VIRTUAL_CLUSTER, NAME) == found
    events = [
        (event["type"], event["message"])
        for event in await host.items(EVENT, "default")
        if event["involvedObject"].get("uid") == found["metadata"]["uid"]
    ]
    assert events == [("Warning", ready(found)["message"])]

    await host.patch(VIRTUAL_CLUSTER, NAME, {"spec": {"quota": {"cpu": "1"}}})
    assert await look(host, NAME) == "failed"  # it is read again: there is no such team
    assert ready(await host.get(VIRTUAL_CLUSTER, NAME))["reason"] == "TeamMissing"


@pytest.mark.parametrize(
    ("text", "word"), [("soon", "failed"), ("2099-01-01T00:00:00", "later"), ("", "failed")]
)
async def test_a_time_of_the_next_try_is_read_however_it_is_written(
    api_server: Path, text: str, word: str
) -> None:
    async with lone(api_server, "retried", cpu="1") as host:
        status = {"status": {"observedGeneration": 1, "retryAt": text}}
        await host.patch(VIRTUAL_CLUSTER, "retried", status, status=True)
        assert await look(host, "retried") == word  # "failed": there is no such team
