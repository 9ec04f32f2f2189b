"""Rules of a team that the API server itself holds, whoever writes."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from atoll.cluster import kinds
from atoll.cluster.client import Cluster
from atoll.errors import InvalidError


def team(name: str, **spec: Any) -> dict[str, Any]:
    meta = {"name": name}
    return {"apiVersion": "atoll.dev/v1alpha1", "kind": "Team", "metadata": meta, "spec": spec}


@pytest.fixture
async def cluster(api_server: Path) -> AsyncIterator[Cluster]:
    async with Cluster.from_file(api_server) as made:
        yield made


async def test_a_team_is_not_its_own_parent(cluster: Cluster) -> None:
    with pytest.raises(InvalidError, match="its own parent"):
        await cluster.create(team("narcissus", parent="narcissus"))


async def test_the_parent_stays_while_anything_is_reserved(cluster: Cluster) -> None:
    made = await cluster.create(team("moved", parent="first"))
    now = await cluster.patch(kinds.TEAM, "moved", {"spec": {"parent": "second"}})
    assert (made["spec"]["parent"], now["spec"]["parent"]) == ("first", "second")
    held = {"reservations": {"lab": {"cpu": "1"}}}
    await cluster.replace({**now, "status": held}, status=True)
    for parent in ("third", None):
        with pytest.raises(InvalidError, match="hold quota"):
            await cluster.patch(kinds.TEAM, "moved", {"spec": {"parent": parent}})
    await cluster.patch(kinds.TEAM, "moved", {"spec": {"displayName": "Moved"}})
