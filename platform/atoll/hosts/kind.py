"""kind as a host: Kubernetes nodes as Docker containers of this machine."""

import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from atoll.hosts.bundle import Bundle
from atoll.hosts.bundle_transfer import docker_answers, load
from atoll.hosts.errors import HostError
from atoll.hosts.recipes import KIND_NODE, KIND_NODE_DIGEST
from atoll.hosts.toolchain import Toolchain

TEMPLATE_LABEL = "atoll.dev/node-template"
_REGISTRY = "https://registry-1.docker.io/v2/"
Say = Callable[[str], None]


@dataclass(frozen=True)
class KindHost:
    """A running kind cluster."""

    cluster: str
    kubeconfig: Path


class Kind:
    """One kind cluster per name, `atoll-<name>`.

    Virtual clusters are reached at their ClusterIP through a route to a node, so this needs root
    (or a route that is there already); `unusable` says so before anything is made.
    """

    def __init__(self, name: str, root: Path, say: Say) -> None:
        self.cluster = f"atoll-{name}"
        self._root = root
        self._say = say
        # Services in 10.100 to 10.149, pods in 10.200 to 10.249 (`cluster_config`).
        self._subnet = 100 + sum(name.encode()) % 50

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig; it exists once `up` has returned."""
        return self._root / "kubeconfig"

    @property
    def services(self) -> str:
        """The addresses of Services; they differ by name so that several clusters get on."""
        return f"10.{self._subnet}.0.0/16"

    def up(self, nodes: Mapping[str, int], bundle: Bundle | None) -> KindHost:
        """Make the cluster unless it is there, load the images, make Services reachable."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self.cluster not in self._kind("get", "clusters").split():
            self._create(nodes, bundle)
        else:
            self._kind("export", "kubeconfig", "--name", self.cluster, "--kubeconfig",
                       str(self.kubeconfig))  # fmt: skip
        self._route()
        return KindHost(self.cluster, self.kubeconfig)

    def _create(self, nodes: Mapping[str, int], bundle: Bundle | None) -> None:
        if bundle is not None and bundle.holds(KIND_NODE):
            load(bundle, "docker", self._say, only={KIND_NODE})
        config = self._root / "kind.yaml"
        wanted = cluster_config(nodes, self.services, self._subnet, node_image())
        config.write_text(yaml.safe_dump(wanted))
        self._kind("create", "cluster", "--name", self.cluster, "--config", str(config),
                   "--kubeconfig", str(self.kubeconfig), "--wait", "180s")  # fmt: skip
        if bundle is None:
            return
        try:
            load(bundle, "kind", self._say, kind=self._program(), name=self.cluster)
        except BaseException:
            # The next `up` takes a cluster that is there for whole, so no half of one may stay.
            self._kind("delete", "cluster", "--name", self.cluster)
            raise

    def down(self) -> None:
        """Remove the cluster and the route to it."""
        if self.cluster in self._kind("get", "clusters").split():
            self._kind("delete", "cluster", "--name", self.cluster)
        if os.geteuid() == 0:
            subprocess.run(["ip", "route", "del", self.services], capture_output=True, check=False)

    def _route(self) -> None:
        node = f"{self.cluster}-control-plane"
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}"
        address = _run("docker", "inspect", "-f", form, node).split()[0]
        if re.search(rf"via {re.escape(address)}\b", _run("ip", "route", "show", self.services)):
            return
        command = ["ip", "route", "replace", self.services, "via", address]
        if os.geteuid() != 0:
            raise HostError(f"run once: sudo {' '.join(command)} (the way to the virtual clusters)")
        _run(*command)

    def _kind(self, *arguments: str) -> str:
        return _run(self._program(), *arguments)

    def _program(self) -> str:
        return str(Toolchain().path("kind"))


def unusable(bundle: Path | None) -> str | None:
    """Why kind would not be chosen as the host here, in a few words; None when it would.

    BundleError when the bundle's index cannot be read.
    """
    if not docker_answers():
        return "no Docker daemon answers"
    if os.geteuid() != 0:
        return "the way to the virtual clusters' Services needs root"
    return lacking(bundle)


def lacking(bundle: Path | None) -> str | None:
    """Which images kind could not have here, in a few words; None when it can have them."""
    held = bundle is not None and (Bundle.read(bundle).holds(KIND_NODE) or _is_local(KIND_NODE))
    if held or registry_answers():
        return None
    if bundle is None:
        return "there is neither an image registry nor a bundle"
    return (
        f"there is no image registry, and the bundle {bundle} has no {KIND_NODE}, which kind's nodes "
        "are made of (atoll bundle pull --kind adds it where there is a network)"
    )


def node_image() -> str:
    """The image of the nodes: one that is here by its tag (a bundle's), else pinned by digest."""
    return KIND_NODE if _is_local(KIND_NODE) else f"{KIND_NODE}@{KIND_NODE_DIGEST}"


def _is_local(reference: str) -> bool:
    asked = subprocess.run(
        ["docker", "image", "inspect", reference], capture_output=True, timeout=60, check=False
    )
    return asked.returncode == 0


def registry_answers() -> bool:
    """Whether the public image registry can be reached; 401 is how it greets strangers."""
    try:
        urllib.request.urlopen(_REGISTRY, timeout=4)
    except urllib.error.HTTPError as error:
        return error.code == 401
    except (OSError, ValueError):
        return False
    return True


def cluster_config(
    nodes: Mapping[str, int], services: str, subnet: int, image: str
) -> dict[str, Any]:
    """Kind's configuration: one control plane, and a labelled worker for each node asked for."""
    workers = [
        {"role": "worker", "image": image, "labels": {TEMPLATE_LABEL: template}}
        for template, count in nodes.items()
        for _ in range(count)
    ]
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"serviceSubnet": services, "podSubnet": f"10.{subnet + 100}.0.0/16"},
        "nodes": [{"role": "control-plane", "image": image}, *workers],
    }


def _run(*command: str) -> str:
    try:
        done = subprocess.run(
            list(command), capture_output=True, text=True, timeout=900, check=False
        )
    except FileNotFoundError:
        raise HostError(f"the program {command[0]} is not on this machine.") from None
    except subprocess.TimeoutExpired:
        raise HostError(f"{' '.join(command[:3])} did not end within 15 minutes.") from None
    if done.returncode != 0:
        told = "\n".join((done.stderr or done.stdout).strip().splitlines()[-5:])
        raise HostError(f"{' '.join(command[:3])} failed: {told}")
    return done.stdout
