"""An API server that plays the inside of a virtual cluster: the kinds of KubeRay and Volcano, no more."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from builders.policies_in_force import await_policies
from conftest import run_api_server
from e2e.kube import Kube
from integration.worker.admission import ADMISSION, account, put

CHARTS = Path(__file__).parents[3] / "platform" / "atoll" / "hosts" / "sandbox" / "charts"
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="module")
def inside_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Its kubeconfig. One of its own: admission policies hold for everybody who uses a server."""
    server = run_api_server(tmp_path_factory.mktemp("inside"))
    kubeconfig = next(server)
    kube = Kube.from_file(kubeconfig)
    for path in [
        *(CHARTS / "kuberay-operator" / "crds").glob("*.yaml"),
        *(CHARTS / "volcano" / "templates").glob("[pq]*s.yaml"),
    ]:
        kube.create(DEFINITIONS, yaml.safe_load(path.read_text())).raise_for_status()
    for name in ("ray", "other"):
        kube.create("/api/v1/namespaces", {"metadata": {"name": name}}).raise_for_status()
    yield kubeconfig
    next(server, None)


@pytest.fixture(scope="module")
def owner(inside_file: Path) -> Kube:
    """An administrator inside as a team's owner is one: by a role, without the platform's certificate."""
    return account(Kube.from_file(inside_file), "other", "owner")


@pytest.fixture
async def kube(inside_file: Path) -> Kube:
    """With validation alone, as where the API server cannot mutate."""
    await put(inside_file, None)
    kube = Kube.from_file(inside_file)
    for kind in ("mutatingadmissionpolicybindings", "mutatingadmissionpolicies"):
        for found in kube.items(f"{ADMISSION}/{kind}"):
            kube.delete(f"{ADMISSION}/{kind}/{found['metadata']['name']}")
    await_policies(kube)
    return kube


@pytest.fixture
async def mutating(inside_file: Path, kube: Kube) -> Kube:
    """With mutation on top."""
    await put(inside_file, "v1")
    await_policies(kube)
    return kube


@pytest.fixture(scope="module")
def host_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A host of one module's own: its policies hold for every namespace of a virtual cluster."""
    server = run_api_server(tmp_path_factory.mktemp("host"))
    yield next(server)
    next(server, None)
