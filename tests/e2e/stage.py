"""The real cluster that the end-to-end tests play on: found, or started; or the reason why not."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import yaml

from e2e.kube import Kube, Object, secret_value

ROOT = Path(__file__).parents[2]
NODE_LABEL = "atoll.dev/node-template"
OWNER_LABEL = "atoll.dev/virtual-cluster"
HOST_SCRIPT = ROOT.parent / "shared" / "host" / "host"


class NoStageError(Exception):
    """Why the tests cannot run here, in words for people."""


@dataclass(frozen=True)
class Stage:
    """A host cluster with the bundle's images on its nodes."""

    kubeconfig: Path
    bundle: Path
    kubectl: str
    helm: str
    host: Kube

    @property
    def nodes(self) -> dict[str, str]:
        """Every node and its template."""
        found = (node["metadata"] for node in self.host.items("/api/v1/nodes"))
        return {meta["name"]: meta["labels"][NODE_LABEL] for meta in found}

    def free_template(self) -> str:
        """The template of a node that no virtual cluster owns."""
        for node in self.host.items("/api/v1/nodes"):
            labels = node["metadata"]["labels"]
            if OWNER_LABEL not in labels:
                return str(labels[NODE_LABEL])
        raise AssertionError(f"every node is taken: {self.nodes}")

    def run(
        self, *argv: str, stdin: str | None = None, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A program with KUBECONFIG of the host; the caller judges its exit code."""
        shared = {**os.environ, "KUBECONFIG": str(self.kubeconfig), **(env or {})}
        return subprocess.run(
            argv, input=stdin, env=shared, capture_output=True, text=True, timeout=900, check=False
        )

    def inside_config(self, virtual_cluster: str) -> Object | None:
        """The administrator's kubeconfig of a virtual cluster with an address that nodes reach."""
        base = f"/api/v1/namespaces/vc-{virtual_cluster}"
        secret = self.host.get(f"{base}/secrets/vc-{virtual_cluster}")
        service = self.host.get(f"{base}/services/{virtual_cluster}")
        if secret is None or service is None:
            return None
        config: Object = yaml.safe_load(secret_value(secret, "config"))
        address = f"https://{service['spec']['clusterIP']}:443"
        config["clusters"][0]["cluster"]["server"] = address
        return config

    def inside(self, virtual_cluster: str) -> Kube:
        """The API of a virtual cluster, as its administrator."""
        config = self.inside_config(virtual_cluster)
        assert config is not None, f"{virtual_cluster} has exported no kubeconfig"
        return Kube(config)


def bundle_folder() -> Path:
    """The bundle, or NoStageError."""
    chosen = os.environ.get("ATOLL_BUNDLE")
    cache = Path(os.environ.get("ATOLL_CACHE") or Path.home() / ".cache" / "atoll")
    folder = Path(chosen) if chosen else cache / "bundle"
    if not (folder / "index.json").is_file():
        raise NoStageError(f"there is no bundle at {folder} (make one with atoll bundle pull)")
    return folder.absolute()


@contextmanager
def open_stage() -> Iterator[Stage]:
    """The stage; labels that we gave its nodes are taken back at the end."""
    bundle = bundle_folder()
    given = os.environ.get("ATOLL_E2E_KUBECONFIG")
    kubeconfig = Path(given) if given else _started_host(bundle)
    host = Kube.from_file(kubeconfig)
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    if host.get(f"{definitions}/virtualclusters.atoll.dev"):
        raise NoStageError(f"another Atoll is at work on {kubeconfig}; remove it first")
    labelled = _label_nodes(host)
    try:
        yield Stage(kubeconfig, bundle, _program("kubectl"), _program("helm"), host)
    finally:
        for node in labelled:
            host.patch(f"/api/v1/nodes/{node}", {"metadata": {"labels": {NODE_LABEL: None}}})


def _started_host(bundle: Path) -> Path:
    """The host of this machine with two nodes and all images, started when it must be."""
    if not HOST_SCRIPT.is_file():
        raise NoStageError(
            "there is no cluster: give one with ATOLL_E2E_KUBECONFIG, with the bundle's images "
            "on its nodes"
        )
    kubeconfig = Path(_host("kubeconfig").strip())
    found = _nodes(kubeconfig)
    if found < 2:
        if os.geteuid() != 0 or shutil.which("go") is None:
            raise NoStageError(f"starting a cluster with {HOST_SCRIPT} needs root and Go")
        if not found:
            _clear_dead_host(kubeconfig.parents[1])
        _host("up", "2")
        # Where one node ran already, its kube-proxy ends when it sees its changed file.
        time.sleep(3)
        if not _lives(kubeconfig.parents[1] / "log" / "proxy.pid"):
            _host("up", "2")
    lacking = _missing_images(Kube.from_file(kubeconfig), bundle)
    if lacking:
        _host("load", *(str(path) for path in lacking))
    return kubeconfig


def _nodes(kubeconfig: Path) -> int:
    """How many nodes a running cluster has; 0 where none answers."""
    if not kubeconfig.is_file():
        return 0
    try:
        return len(Kube.from_file(kubeconfig).items("/api/v1/nodes"))
    except httpx2.TransportError:
        return 0


def _clear_dead_host(run: Path) -> None:
    """Remove what a cluster left that ended with its machine: pods, addresses and process numbers.

    The numbers go first where another program has them by now: the script would take that one for
    its own, and leave its own unstarted or end a stranger.
    """
    for pid_file in (run / "log").glob("*.pid"):
        with suppress(OSError):
            program = Path(f"/proc/{pid_file.read_text().strip()}/exe").resolve(strict=True)
            if program.is_relative_to(run.parent / "bin"):
                continue
        pid_file.unlink()
    if run.is_dir():
        _host("down")


def _lives(pid_file: Path) -> bool:
    return Path(f"/proc/{pid_file.read_text().strip()}").exists()


def _host(*arguments: str) -> str:
    done = subprocess.run(
        [str(HOST_SCRIPT), *arguments], capture_output=True, text=True, timeout=1800, check=False
    )
    if done.returncode:
        raise NoStageError(f"{HOST_SCRIPT} {arguments[0]} failed: {done.stderr[-500:]}")
    return done.stdout


def _missing_images(host: Kube, bundle: Path) -> list[Path]:
    """Archives of images that some node does not have."""
    index: dict[str, Any] = json.loads((bundle / "index.json").read_text())
    held = [
        {name for image in node["status"].get("images", []) for name in image.get("names") or ()}
        for node in host.items("/api/v1/nodes")
    ]
    return [
        bundle / image["file"]
        for image in index["images"]
        if not all(image["reference"] in names for names in held)
    ]


def _label_nodes(host: Kube) -> list[str]:
    """Give every bare node a template of its own; the nodes labelled now.

    Templates that differ, because the demonstration takes every node of one template it can use.
    """
    nodes = host.items("/api/v1/nodes")
    bare = [n["metadata"]["name"] for n in nodes if NODE_LABEL not in n["metadata"]["labels"]]
    for node in bare:
        label = {NODE_LABEL: f"only-{node}"}
        host.patch(f"/api/v1/nodes/{node}", {"metadata": {"labels": label}})
    return bare


def _program(name: str) -> str:
    cache = Path.home() / ".cache"
    for folder in (cache / "host" / "bin", cache / "atoll" / "bin"):
        if (folder / name).exists():
            return str(folder / name)
    found = shutil.which(name)
    if found is None:
        raise NoStageError(f"{name} is not on PATH")
    return found
