"""The API and the gateway as processes of their own, the latter with TLS, before a tenant's API server."""

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from atoll.cluster import kinds
from atoll.cluster.client import Cluster
from atoll.hosts.sandbox.certificates import Certificates, issue_serving
from builders.api_process import TOKEN, Running, start_api, stop
from builders.gateway_site import VC, free_port, furnish

NODE, POD = "played", "box"
STAMP = "2026-01-01T00:00:00.000000000Z"


@dataclass(frozen=True)
class WaysIn:
    """Both processes, and a kubeconfig as the API gives it."""

    api: Running
    gateway: dict[str, Any]
    certificates: Certificates
    kubeconfig: Path

    @property
    def root(self) -> str:
        return f"{self.api.url}/v1/virtual-clusters/{VC}"


@contextmanager
def ways_in(folder: Path, host: Path, **settings: str) -> Iterator[WaysIn]:
    """Until the block ends; `host` is the kubeconfig of the API server behind."""
    asyncio.run(_furnish(host))
    certificates = issue_serving(folder / "tls", ())
    certificate, key = certificates.server
    environment = {
        **os.environ,
        "ATOLL_KUBECONFIG": str(host),
        "ATOLL_ADMIN_TOKEN": TOKEN,
        "ATOLL_RUNTIME_DIR": str(folder),
        "ATOLL_TLS_CERT_FILE": str(certificate),
        "ATOLL_TLS_KEY_FILE": str(key),
        **settings,
    }
    with (folder / "gateway.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "atoll.main", "gateway"], env=environment, stdout=log, stderr=log
        )
    try:
        gateway = _started(folder, process)
        api = start_api(
            folder, host, "redis://127.0.0.1:9/0", ATOLL_GATEWAY_URL=gateway["url"],
            ATOLL_KUBERNETES_URL=gateway["tls_url"], ATOLL_KUBERNETES_CA_FILE=str(certificates.ca),
        )  # fmt: skip
        try:
            with api.client() as client:
                answer = client.get(f"/v1/virtual-clusters/{VC}/kubeconfig").raise_for_status()
            kubeconfig = folder / "kubeconfig.yaml"
            kubeconfig.write_text(answer.text)
            yield WaysIn(api, gateway, certificates, kubeconfig)
        finally:
            assert stop(api) == 0
    finally:
        process.terminate()
        assert process.wait(20) == 0, (folder / "gateway.log").read_text()[-3000:]
    assert not (folder / "gateway.json").exists()


def _started(folder: Path, process: subprocess.Popen[bytes]) -> dict[str, Any]:
    for _ in range(300):
        assert process.poll() is None, (folder / "gateway.log").read_text()[-3000:]
        if (folder / "gateway.json").exists():
            found: dict[str, Any] = json.loads((folder / "gateway.json").read_text())
            try:
                if httpx2.get(f"{found['url']}/healthz", trust_env=False).is_success:
                    return found
            except httpx2.HTTPError:
                pass
        time.sleep(0.1)
    pytest.fail("the gateway did not start")


async def _furnish(host: Path) -> None:
    async with Cluster.from_file(host) as cluster:
        await furnish(cluster, host)


@dataclass(frozen=True)
class Kubectl:
    """kubectl with the kubeconfig of the API, and `atoll` beside it for tokens."""

    binary: str
    ways: WaysIn
    home: Path

    def argv(self, *arguments: str) -> list[str]:
        return [self.binary, "--kubeconfig", str(self.ways.kubeconfig), *arguments]

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "ATOLL_TOKEN": TOKEN,
        }

    def __call__(self, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            self.argv(*arguments), input=given, env=self.environment, capture_output=True,
            timeout=60, check=False,
        )  # fmt: skip

    @contextmanager
    def running(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """A command that goes on until the block ends; its output by lines."""
        process = subprocess.Popen(
            self.argv(*arguments), env=self.environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait(10)
            for pipe in (process.stdin, process.stdout):
                assert pipe
                pipe.close()


@contextmanager
def played_kubelet(folder: Path, host: Path, *, kwok: str, forward_to: int) -> Iterator[Path]:
    """A node whose kubelet is KWOK's: programs of its pod run here, its log is the file given back.

    Ports of the pod lead to `forward_to`.
    """
    port, log = free_port(), folder / "pod.log"
    log.write_text("".join(f"{STAMP} stdout F {word}\n" for word in ("one", "two")))
    config = folder / "kwok.yaml"
    specs: dict[str, dict[str, Any]] = {
        "ClusterExec": {"execs": [{"local": {}}]},
        "ClusterPortForward": {
            "forwards": [{"target": {"port": forward_to, "address": "127.0.0.1"}}]
        },
        "ClusterLogs": {"logs": [{"logsFile": str(log), "follow": True}]},
        "ClusterAttach": {"attaches": [{"logsFile": str(log)}]},
        # KWOK wants at least one; this one is for nothing that there is.
        "Stage": {
            "resourceRef": {"apiGroup": "v1", "kind": "Node"},
            "selector": {"matchLabels": {"none": "such"}},
            "next": {"statusTemplate": "phase: Running"},
        },
    }
    config.write_text(
        yaml.safe_dump_all(
            {
                "apiVersion": "kwok.x-k8s.io/v1alpha1",
                "kind": k,
                "metadata": {"name": "all"},
                "spec": s,
            }
            for k, s in specs.items()
        )
    )
    certificate, key = issue_serving(folder / "kubelet", ()).server
    argv = [
        kwok, f"--kubeconfig={host}", f"--config={config}", "--manage-single-node", NODE,
        "--node-ip=127.0.0.1", f"--node-port={port}", f"--server-address=127.0.0.1:{port}",
        f"--tls-cert-file={certificate}", f"--tls-private-key-file={key}",
    ]  # fmt: skip
    asyncio.run(_node(host, port))
    with (folder / "kwok.log").open("wb") as out:
        process = subprocess.Popen(
            argv, stdout=out, stderr=out, env=os.environ | {"HOME": str(folder)}
        )
    try:
        _wait_for(port, process, folder / "kwok.log")
        yield log
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(300):
        assert process.poll() is None, log.read_text()[-2000:]
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.fail(log.read_text()[-2000:])


async def _node(host: Path, port: int) -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
    address = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
        "conditions": [{"type": "Ready", "status": "True"}],
    }
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD, "namespace": "ray"},
        "spec": {"nodeName": NODE, "containers": [{"name": "main", "image": "i"}]},
    }  # fmt: skip
    container = {
        "name": "main", "image": "i", "imageID": "", "ready": True, "restartCount": 0,
        "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}},
    }  # fmt: skip
    running = {"phase": "Running", "containerStatuses": [container]}
    async with Cluster.from_file(host) as cluster:
        await cluster.create(node)
        await cluster.patch(kinds.NODE, NODE, {"status": address}, status=True)
        await cluster.create(pod)
        await cluster.patch(kinds.POD, POD, {"status": running}, "ray", status=True)


def installed(name: str, cache: Path) -> str:
    """A program, or the test is skipped and says why."""
    found = shutil.which(name) or (str(cache / name) if (cache / name).exists() else None)
    if found is None:
        pytest.skip(f"{name} is neither on PATH nor in {cache}")
    return found
