"""The cluster room against a real API server."""

from pathlib import Path

import pytest

from atoll.cluster import kinds
from atoll.cluster.client import Cluster
from atoll.errors import ConflictError, InvalidError, NotFoundError, StaleWriteError


def team(name: str) -> dict[str, object]:
    return {
        "apiVersion": "atoll.dev/v1alpha1",
        "kind": "Team",
        "metadata": {"name": name},
        "spec": {"quota": {"cpu": {"limit": "4"}}},
    }


async def test_create_twice_conflicts_and_replace_is_compare_and_set(api_server: Path) -> None:
    async with Cluster.from_file(api_server) as cluster:
        made = await cluster.create(team("one"))
        with pytest.raises(ConflictError) as taken:
            await cluster.create(team("one"))
        assert taken.value.code == "exists"
        made["status"] = {"reserved": {"cpu": "1"}}
        written = await cluster.replace(made, status=True)
        assert written["status"]["reserved"] == {"cpu": "1"}
        with pytest.raises(StaleWriteError):
            await cluster.replace(made, status=True)
        assert await cluster.delete(kinds.TEAM, "one")
        assert not await cluster.delete(kinds.TEAM, "one")
        with pytest.raises(NotFoundError):
            await cluster.get(kinds.TEAM, "one")


async def test_watch_goes_on_where_the_list_ended(api_server: Path) -> None:
    async with Cluster.from_file(api_server) as cluster:
        _, revision = await cluster.items_at(kinds.TEAM)
        await cluster.create(team("watched"))
        await cluster.delete(kinds.TEAM, "watched")
        seen = []
        async for change, item in cluster.watch(kinds.TEAM, since=revision):
            seen.append((change, item["metadata"]["name"]))
            if change == "DELETED":
                break
        assert seen == [("ADDED", "watched"), ("DELETED", "watched")]


async def test_a_wrong_manifest_names_the_field(api_server: Path) -> None:
    async with Cluster.from_file(api_server) as cluster:
        bad = team("bad")
        bad["spec"] = {"quota": {"cpu": {}}}
        with pytest.raises(InvalidError, match=r"spec\.quota\.cpu\.limit"):
            await cluster.create(bad)


async def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(
    api_server: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As kubectl and helm do: only httpx2 takes the variables for loopback, too."""
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with Cluster.from_file(api_server) as cluster:
        assert isinstance(await cluster.items(kinds.TEAM), list)
