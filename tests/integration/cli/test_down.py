"""`atoll down` after an `atoll up` at somebody's cluster that failed on its way."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
import yaml

from conftest import run_api_server

ATOLL = Path(sys.executable).with_name("atoll")
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
VIRTUAL_CLUSTERS = "/apis/atoll.dev/v1alpha1/virtualclusters"


@pytest.fixture(scope="module")
def own_host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A host of these tests' own, because they take our kinds away from it."""
    yield from run_api_server(tmp_path_factory.mktemp("host"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def atoll(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ATOLL_") or k == "ATOLL_CACHE"}
    return subprocess.run(
        [str(ATOLL), *arguments, "--name", "lab"], capture_output=True, text=True, timeout=120,
        env=kept | {"ATOLL_HOME": str(home), "XDG_CONFIG_HOME": str(home / "config")},
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def test_an_up_that_never_reached_its_host_leaves_nothing_to_refuse(home: Path) -> None:
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "t",
        "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t"}}],
        "clusters": [{"name": "t", "cluster": {"server": "https://127.0.0.1:9"}}],
        "users": [{"name": "t", "user": {"token": "x"}}],
    }  # fmt: skip
    home.mkdir()
    kubeconfig = home / "kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    failed = atoll(home, "up", "--host", "kubeconfig", "--kubeconfig", str(kubeconfig), "--no-demo")
    assert failed.returncode != 0
    assert "does not answer" in failed.stderr
    ended = atoll(home, "down")
    assert ended.returncode == 0, ended.stderr
    assert "is gone" in ended.stderr
    assert not (home / "lab").exists()


def _state(home: Path, kubeconfig: Path) -> None:
    """As `up` leaves it when it fails between the host and its first process."""
    (home / "lab").mkdir(parents=True)
    state = {"host": "kubeconfig", "kubeconfig": str(kubeconfig), "installed": True}
    (home / "lab" / "state.json").write_text(json.dumps(state))


def test_without_processes_an_empty_host_is_cleaned_and_a_full_one_is_not(
    home: Path, own_host: Path
) -> None:
    config = yaml.safe_load(own_host.read_text())
    token = config["users"][0]["user"]["token"]
    with httpx2.Client(
        base_url=config["clusters"][0]["cluster"]["server"], verify=False, timeout=20,
        headers={"Authorization": f"Bearer {token}"},
    ) as host:  # fmt: skip
        body = {
            "apiVersion": "atoll.dev/v1alpha1", "kind": "VirtualCluster",
            "metadata": {"name": "left-over"}, "spec": {"team": "t"},
        }  # fmt: skip
        host.post(VIRTUAL_CLUSTERS, json=body).raise_for_status()
        _state(home, own_host)
        refused = atoll(home, "down")
        assert refused.returncode != 0
        assert "left-over" in refused.stderr
        assert "atoll up --no-demo" in refused.stderr
        assert (home / "lab").exists()

        host.delete(f"{VIRTUAL_CLUSTERS}/left-over").raise_for_status()
        ended = atoll(home, "down")
        assert ended.returncode == 0, ended.stderr
        metas = [item["metadata"] for item in host.get(CRDS).json()["items"]]
        # A definition goes a moment after it was told to.
        assert [m["name"] for m in metas if "deletionTimestamp" not in m] == []
    assert not (home / "lab").exists()
