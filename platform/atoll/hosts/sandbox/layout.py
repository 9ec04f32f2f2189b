"""Where things are in a sandbox's folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from atoll.hosts.sandbox.certificates import Certificates
from atoll.hosts.sandbox.kube import Kube

HOST_PREFIX = "/host"


def host_certificates(root: Path) -> Certificates:
    """The authority of the host's API server and of etcd."""
    return Certificates(root / "pki")


def host_ports(root: Path) -> dict[str, int]:
    """Ports by use: etcd, peer, apiserver, kubelet."""
    return {use: int(port) for use, port in json.loads((root / "ports.json").read_text()).items()}


def host_url(root: Path) -> str:
    """Address of the host's API server."""
    return f"https://127.0.0.1:{host_ports(root)['apiserver']}"


def host_client(root: Path) -> Kube:
    """A client of the host's API server; close it after use."""
    return Kube.of(host_url(root), host_certificates(root))


def agent_ready(root: Path) -> Path:
    """The file in which the agent writes its pid once it works."""
    return root / "run" / "agent.ready"


def pod_log(root: Path, namespace: str, name: str) -> Path:
    """The file that the program of a host pod writes to."""
    return root / "logs" / "pods" / namespace / f"{name}.log"


def earlier(log: Path) -> Path:
    """What a pod's program wrote before it was started anew."""
    return log.with_name(f"{log.name}.1")


def scratch(root: Path) -> Path:
    """A folder with a short name, for sockets: their paths must stay below 107 bytes."""
    digest = hashlib.sha256(str(root).encode()).hexdigest()[:8]
    return Path("/tmp") / f"atoll-{digest}"  # noqa: S108 (a short name; the folder has mode 0700)
