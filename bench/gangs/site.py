"""A control plane for one measurement: the real programs, KWOK nodes, no limits on memory or requests.

Unlike the sandbox it is not kept, so it has no agent and no controllers, and its processes end with ours
however that ends.
"""

import ctypes
import os
import signal
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import yaml

from atoll.cluster.client import Cluster
from atoll.cluster.kinds import NODE
from atoll.hosts.detached import free_port
from atoll.hosts.recipes import KUBERNETES
from atoll.hosts.sandbox import controlplane, kubeconfig
from atoll.hosts.sandbox.certificates import Certificates, issue
from atoll.hosts.sandbox.nodes import desired_nodes, node_manifest, node_status
from atoll.hosts.toolchain import Toolchain

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)
_READY_SECONDS = 300.0
_SERVER = (
    "--enable-priority-and-fairness=false",
    "--max-requests-inflight=2000",
    "--max-mutating-requests-inflight=1000",
    "--etcd-compaction-interval=1m",
    "--event-ttl=5m",
    # Without a quota in the namespace both only cost; that of ResourceQuota is a tenth of a pod's creation.
    "--disable-admission-plugins=ResourceQuota,LimitRanger",
)
_LAVISH = {"GOGC": "400"}
"""Memory is there; the two cores are what everything waits for."""
_RUNNING = """
{{ $now := Now }}
phase: Running
startTime: {{ $now | Quote }}
conditions:
- {type: Ready, status: "True", lastTransitionTime: {{ $now | Quote }}}
"""


class SiteError(Exception):
    """A program that ended or did not begin, with its last words."""


def _die_with_parent() -> None:
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Programs:
    """Processes of one measurement, each with a log in `folder`; all end with the block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None) -> int:
        """Start one, again under a name it had before; its process id."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                list(argv), stdout=log, stderr=log, env={**os.environ, **(env or {})},
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - one call of prctl, no lock taken
                start_new_session=True,  # a signal for us and our group would end what we still ask
            )  # fmt: skip
        return self._running[name].pid

    def kill(self, name: str) -> None:
        """End one as a crash does (SIGKILL), and see it gone."""
        self._running[name].kill()
        self._running.pop(name).wait()

    def check(self) -> None:
        """Raises SiteError with the last words of one that has ended."""
        for name, process in self._running.items():
            if process.poll() is not None:
                raise SiteError(f"{name} ended with {process.returncode}: {self.last_words(name)}")

    def last_words(self, name: str) -> str:
        """The end of its log."""
        return (self.folder / f"{name}.log").read_text(errors="replace")[-1500:]

    def peaks(self) -> dict[str, int]:
        """Most memory that each living one has had, in MiB (VmHWM of proc(5))."""
        found = {}
        for name, process in self._running.items():
            lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            held = next((line for line in lines if line.startswith("VmHWM:")), "VmHWM: 0 kB")
            found[name] = int(held.split()[1]) // 1024
        return found

    def seconds(self) -> dict[str, float]:
        """CPU seconds that each living one has used."""
        ticks = os.sysconf("SC_CLK_TCK")
        found = {}
        for name, process in self._running.items():
            fields = Path(f"/proc/{process.pid}/stat").read_text().rsplit(")", 1)[1].split()
            found[name] = (int(fields[11]) + int(fields[12])) / ticks
        return found

    def end(self) -> None:
        """End all, the last one started first."""
        for process in reversed(self._running.values()):
            process.terminate()
        for process in reversed(self._running.values()):
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()


class Site:
    """One API server with nodes; `kubeconfig` is its administrator's."""

    def __init__(self, folder: Path, programs: Programs, nodes: Mapping[str, int]) -> None:
        """`nodes`: node template to count, as the sandbox has them."""
        self.folder, self.programs = folder, programs
        self.nodes = desired_nodes(nodes)
        self.kubeconfig = folder / "kubeconfig"
        self._tools = Toolchain()

    def up(self) -> None:
        """Start all of it; returns when the API server is ready."""
        certificates = issue(self.folder / "pki", ["kubernetes.default.svc"])
        port = self._server(certificates)
        self._wait(port, certificates)
        text = kubeconfig.render("site", f"https://127.0.0.1:{port}", certificates)
        kubeconfig.write_private(self.kubeconfig, text)
        stages = self.folder / "stages.yaml"
        stages.write_text(_stages())
        scheduler = controlplane.scheduler(self._tools.path("kube-scheduler"), self.kubeconfig)
        kwok = controlplane.kwok(self._tools.path("kwok"), self.kubeconfig, stages)
        self.programs.start("kube-scheduler", scheduler.argv, _LAVISH)
        self.programs.start("kwok", kwok.argv, _LAVISH)

    def _server(self, certificates: Certificates) -> int:
        etcd, peer, port = free_port(), free_port(), free_port()
        data = self.folder / "etcd"
        store = controlplane.etcd(self._tools.path("etcd"), data, etcd, peer, certificates)
        server = controlplane.apiserver(
            self._tools.path("kube-apiserver"), port, certificates,
            (etcd, certificates, "/registry"), extra=_SERVER,
        )  # fmt: skip
        self.programs.start("etcd", store.argv, _LAVISH)
        self.programs.start("kube-apiserver", server.argv, _LAVISH)
        return port

    def _wait(self, port: int, certificates: Certificates) -> None:
        url, deadline = f"https://127.0.0.1:{port}/readyz", time.monotonic() + _READY_SECONDS
        trust = ssl.create_default_context(cafile=str(certificates.ca))
        with httpx2.Client(verify=trust, trust_env=False, timeout=5) as client:
            while time.monotonic() < deadline:
                self.programs.check()
                try:
                    if client.get(url).status_code == 200:
                        return
                except httpx2.HTTPError:
                    pass
                time.sleep(0.1)
        raise SiteError(f"no API server: {self.programs.last_words('kube-apiserver')}")

    async def settle(self, cluster: Cluster) -> None:
        """Make the nodes."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for name, template in self.nodes.items():
            await cluster.create(node_manifest(name, template))
            status = {"status": node_status(name, template, now, f"v{KUBERNETES}")}
            await cluster.patch(NODE, name, status, status=True)


@contextmanager
def open_site(folder: Path, nodes: Mapping[str, int]) -> Iterator[Site]:
    """A site in `folder`, until the block ends."""
    programs = Programs(folder)
    try:
        site = Site(folder, programs, nodes)
        site.up()
        yield site
    finally:
        programs.end()


def _stages() -> str:
    """Nodes stay as they are; a pod runs as soon as it is bound, and goes at once when it is deleted."""
    living = {"key": ".metadata.deletionTimestamp", "operator": "DoesNotExist"}
    pending = {"key": ".status.phase", "operator": "In", "values": ["Pending"]}
    stages = [
        _stage("node", "Node", [{"key": ".status.phase", "operator": "DoesNotExist"}],
               {"statusTemplate": "phase: Running"}),
        _stage("runs", "Pod", [living, pending], {"statusTemplate": _RUNNING}),
    ]  # fmt: skip
    return yaml.safe_dump_all(stages, sort_keys=False)


def _stage(
    name: str, kind: str, expressions: list[dict[str, Any]], following: dict[str, Any]
) -> dict[str, Any]:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": "Stage", "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": expressions}, "next": following,
        },
    }  # fmt: skip
