"""The probe against a real API server whose policies are older than the kinds they change."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from atoll.cluster import kinds
from atoll.cluster.client import Cluster, InitializingError, Object
from atoll.domain.names import RAY_NAMESPACE
from atoll.domain.schedulers import VOLCANO
from atoll.errors import NotFoundError
from atoll.hosts.sandbox import charts
from atoll_worker.reconcile.policies.everything import policy_manifests
from atoll_worker.reconcile.policies.manifests import Enforced
from atoll_worker.reconcile.schedulers.policies import queue_rule
from atoll_worker.reconcile.steps.probe import Probe
from builders.policies_in_force import await_policies
from conftest import run_api_server
from e2e.kube import Kube

SERVED_AFTER = 60.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One of its own: it must not have seen the kinds before."""
    yield from run_api_server(tmp_path_factory.mktemp("probe"))


def a_gang(name: str) -> Object:
    return {
        "apiVersion": kinds.POD_GROUP.api_version,
        "kind": kinds.POD_GROUP.kind,
        "metadata": {"name": name, "namespace": RAY_NAMESPACE},
        "spec": {"minMember": 2},
    }


def scope_of(inside: Cluster) -> Any:
    """As much of a look's scope as the probe uses."""

    async def the_same() -> Cluster:
        return inside

    scheduler = SimpleNamespace(name="volcano")
    versions = SimpleNamespace(spec=SimpleNamespace(scheduler=scheduler))
    return SimpleNamespace(inside=the_same, versions=versions)


@asynccontextmanager
async def with_policies(server: Path) -> AsyncIterator[Cluster]:
    async with Cluster.from_file(server) as cluster:
        await cluster.create(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": RAY_NAMESPACE}}
        )
        required = queue_rule(VOLCANO, "team-blue")
        enforced = Enforced("team-blue", "demo", required, scheduler=VOLCANO, mutating="v1")
        for manifest in policy_manifests(enforced, {}):
            await cluster.apply(manifest)
        await asyncio.to_thread(await_policies, Kube.from_file(server))
        yield cluster


async def test_what_the_probe_let_through_can_be_made_at_the_first_try(server: Path) -> None:
    async with with_policies(server) as cluster:
        for chart, files in (
            ("kuberay-operator", "crds/*.yaml"),
            ("volcano", "templates/[pq]*s.yaml"),
        ):
            for path in (charts.SOURCES / chart).glob(files):
                await cluster.create(yaml.safe_load(path.read_text()))
        async with asyncio.timeout(SERVED_AFTER):
            while True:
                try:
                    seen = await Probe().observe(scope_of(cluster))
                    break
                except (NotFoundError, InitializingError):
                    await asyncio.sleep(0.05)
        made = await cluster.create(a_gang("first"))
        assert seen.startswith("1.")
        assert made["spec"]["queue"] == "team-blue"
        assert await cluster.items(kinds.RAY_CLUSTER, RAY_NAMESPACE) == []
        assert [one["metadata"]["name"] for one in await cluster.items(kinds.POD_GROUP, "*")] == [
            "first"
        ]
