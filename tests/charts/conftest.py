"""What the chart tests share: every chart in every mode, and both on an API server of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from charts.installed import (
    ELSEWHERE,
    SYSTEM,
    TENANT,
    Kubectl,
    config_map,
    install_platform,
    install_tenant,
)
from charts.rendering import ALL, Rendered, render
from conftest import run_api_server
from waiting import until


@pytest.fixture(params=ALL, ids=["-".join(pair) for pair in ALL])
def rendered(request: pytest.FixtureRequest) -> Rendered:
    """Every chart in every mode of its ci folder."""
    return render(*request.param)


@pytest.fixture(scope="session")
def chart_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An API server for the charts alone: their policies must not judge what other tests write."""
    yield from run_api_server(tmp_path_factory.mktemp("chart-server"))


@pytest.fixture(scope="session")
def kubectl(chart_server: Path) -> Kubectl:
    return Kubectl(chart_server)


@pytest.fixture(scope="session")
def platform(chart_server: Path, kubectl: Kubectl) -> str:
    """The release `atoll`; gives what helm said."""
    for name in (SYSTEM, ELSEWHERE):
        kubectl("create", "namespace", name)
    return install_platform(chart_server)


@pytest.fixture(scope="session")
def tenant(chart_server: Path, kubectl: Kubectl, platform: str) -> str:
    """The namespace of a virtual cluster, made and filled with no more than the worker's power."""
    assert platform
    meta = {"name": TENANT, "labels": {"atoll.dev/virtual-cluster": "charts"}}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}
    made = kubectl.apply(namespace, account="atoll-worker")
    assert made.returncode == 0, made.stderr
    install_tenant(chart_server, 5)

    def fence_acts() -> bool:
        """A policy takes a moment before it is in force."""
        kubectl.apply(config_map("warm", "2"))
        return kubectl.apply(config_map("warm", "1")).returncode != 0

    until(fence_acts, "the fence is in force")
    return TENANT
