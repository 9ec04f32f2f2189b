"""A sandbox host of real processes, shared by the tests of this folder."""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from atoll.hosts.detached import MARK
from atoll.hosts.errors import ToolchainError
from atoll.hosts.sandbox import Sandbox, SandboxHost
from atoll.hosts.toolchain import Toolchain

NODES = {"4c8g": 2, "8c16g": 2}
TOOLS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kubectl",
         "helm", "redis-server")  # fmt: skip


def until(check: Callable[[], Any], what: str, seconds: float = 30) -> Any:
    """The first true answer of `check`; fails when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        time.sleep(0.2)
    pytest.fail(f"not within {seconds:.0f} s: {what}")


@dataclass(frozen=True)
class Cluster:
    """An API server, through kubectl and helm."""

    kubeconfig: Path

    def kubectl(self, *arguments: str, text: str | None = None, check: bool = True) -> str:
        program = str(Toolchain().path("kubectl"))
        done = subprocess.run(
            [program, f"--kubeconfig={self.kubeconfig}", *arguments],
            input=text, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if check and done.returncode != 0:
            pytest.fail(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def refused(self, *arguments: str) -> str:
        """What kubectl says when it does not get what it asks for."""
        program = str(Toolchain().path("kubectl"))
        done = subprocess.run(
            [program, f"--kubeconfig={self.kubeconfig}", *arguments],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode != 0, done.stdout
        return done.stderr

    def follow(self, *arguments: str) -> subprocess.Popen[str]:
        """kubectl with --follow; its output is that of the process, which the caller waits for."""
        program = str(Toolchain().path("kubectl"))
        return subprocess.Popen(
            [program, f"--kubeconfig={self.kubeconfig}", *arguments, "--follow"],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def apply(self, *manifests: Mapping[str, Any]) -> None:
        self.kubectl("apply", "-f", "-", text=yaml.safe_dump_all([dict(one) for one in manifests]))

    def get(self, *arguments: str) -> dict[str, Any]:
        """The object, or an empty one when it is not there."""
        text = self.kubectl("get", *arguments, "-o", "json", "--ignore-not-found")
        return dict(json.loads(text)) if text else {}

    def names(self, *arguments: str) -> set[str]:
        return {item["metadata"]["name"] for item in self.get(*arguments).get("items", [])}

    def helm(self, release: str, namespace: str, chart: Path, values: Mapping[str, Any]) -> None:
        program = str(Toolchain().path("helm"))
        done = subprocess.run(
            [program, "upgrade", "--install", release, str(chart), "-n", namespace,
             "--create-namespace", f"--kubeconfig={self.kubeconfig}", "-f", "-"],
            input=yaml.safe_dump(dict(values)), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def uninstall(self, release: str, namespace: str) -> None:
        program = str(Toolchain().path("helm"))
        command = [
            program,
            "uninstall",
            release,
            "-n",
            namespace,
            f"--kubeconfig={self.kubeconfig}",
        ]
        subprocess.run(command, capture_output=True, check=True)


@dataclass(frozen=True)
class Host:
    """A running sandbox."""

    sandbox: Sandbox
    place: SandboxHost
    root: Path

    @property
    def cluster(self) -> Cluster:
        return Cluster(self.place.kubeconfig)

    def chart(self, name: str, version: str) -> Path:
        return self.place.charts / f"{name}-{version}.tgz"

    def tenant(self, name: str, namespace: str, values: Mapping[str, Any]) -> Cluster:
        """Install a virtual cluster and wait until it can be used."""
        self.cluster.helm(name, namespace, self.chart("vcluster", "0.36.1"), values)
        secret = until(
            lambda: self.cluster.get("secret", f"vc-{name}", "-n", namespace), f"vc-{name}", 90
        )
        path = self.root / f"{namespace}.kubeconfig"
        path.write_bytes(base64.b64decode(secret["data"]["config"]))
        path.chmod(0o600)
        return Cluster(path)


def marked(root: Path) -> list[int]:
    """Every process that was started by the sandbox of this folder."""
    mark = f"{MARK}={root}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def values(*, persistent: bool = True, **more: Any) -> dict[str, Any]:
    """Values of a virtual cluster as Atoll gives them."""
    claim = {"enabled": persistent, "retentionPolicy": "Delete"}
    return {
        "controlPlane": {
            "distro": {"k8s": {"image": {"tag": "v1.36.3"}, **more.pop("k8s", {})}},
            "statefulSet": {
                "image": {"repository": "loft-sh/vcluster-oss"},
                "persistence": {"volumeClaim": claim},
            },
        },
        "experimental": {"syncSettings": {"setOwner": False}},
        **more,
    }


@pytest.fixture(scope="session")
def tools() -> Toolchain:
    """The toolchain; tests are skipped only when a program cannot be had here."""
    toolchain = Toolchain()
    try:
        for name in TOOLS:
            toolchain.path(name)
    except ToolchainError as problem:
        pytest.skip(str(problem))
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return toolchain


@pytest.fixture(scope="session")
def host(tools: Toolchain, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A sandbox of four nodes."""
    root = tmp_path_factory.mktemp("sandbox") / "host"
    sandbox = Sandbox("integration", root)
    try:
        yield Host(sandbox, sandbox.up(NODES), root)
    finally:
        if os.environ.get("ATOLL_KEEP_SANDBOX") is None:
            sandbox.down()
    assert not marked(root)
