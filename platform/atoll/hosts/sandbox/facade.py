"""Starts, repairs and ends a sandbox host: a real control plane with simulated nodes."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import atoll
from atoll.hosts.detached import Processes, free_port, port_is_free, start_time
from atoll.hosts.errors import SandboxError
from atoll.hosts.sandbox import controlplane, kubeconfig, layout
from atoll.hosts.sandbox.certificates import Certificates, issue
from atoll.hosts.sandbox.charts import DEFAULT_CHARTS, pack_charts
from atoll.hosts.sandbox.nodes import desired_nodes
from atoll.hosts.sandbox.objects import settle
from atoll.hosts.sandbox.stages import render_stages
from atoll.hosts.toolchain import Toolchain

Report = Callable[[str, float], None]
_TOOLS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok",
          "kubectl", "helm")  # fmt: skip
_READY_SECONDS = 60.0


@dataclass(frozen=True)
class SandboxHost:
    """What a user of the host needs."""

    name: str
    kubeconfig: Path
    charts: Path
    logs: Path


@dataclass(frozen=True)
class ProcessState:
    """One process of the sandbox: its name, pid and whether it lives."""

    name: str
    pid: int | None
    alive: bool


def _silent(phase: str, seconds: float) -> None:
    """Report nothing."""


class Sandbox:
    """One sandbox host; several may run on a machine, each with a `root` folder of its own.

    `report(phase, seconds)` hears what `up` has done, with the seconds since it began.
    """

    def __init__(self, name: str, root: Path, report: Report = _silent) -> None:
        self.name = name
        self._root = root.absolute()
        self._report = report
        self._began = time.monotonic()

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig; it exists once `up` has returned."""
        return self._root / "kubeconfig"

    def up(self, nodes: Mapping[str, int]) -> SandboxHost:
        """Start or repair the host with exactly these nodes (template to count).

        Safe to repeat. Raises ValueError for a bad template, ToolchainError when a program cannot
        be had, SandboxError when a process does not start.
        """
        wanted = desired_nodes(nodes)
        self._began = time.monotonic()
        with self._locked():
            tools = self._programs()
            certificates = self._prepare()
            ports = self._ports()
            self._start_server(tools, certificates, ports)
            self._start_rest(tools, certificates)
            self._say("control plane")
            asyncio.run(settle(layout.host_client(self._root), wanted, ports["kubelet"]))
            self._say("nodes")
            self._start_agent(tools)
            self._say("agent")
        return SandboxHost(self.name, self.kubeconfig, self._root / "charts", self._root / "logs")

    def down(self) -> None:
        """End every process of this sandbox and remove its state; nothing happens without one."""
        if not self._root.exists():
            return
        with self._locked():
            processes = Processes(self._root)
            first = ["agent", "kwok", "scheduler", "controller-manager"]
            last = ["apiserver", "etcd"]
            others = [name for name in processes.names() if name not in (*first, *last)]
            processes.stop("agent", grace=2)
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda name: processes.stop(name, grace=3), [*first, *others, *last]))
            while processes.sweep():
                time.sleep(0.05)
        shutil.rmtree(layout.scratch(self._root), ignore_errors=True)
        shutil.rmtree(self._root)

    def status(self) -> list[ProcessState]:
        """Every process that was started and not ended, and whether it lives."""
        if not self._root.exists():
            return []
        processes = Processes(self._root)
        states = []
        for name in processes.names():
            record = processes.find(name)
            states.append(ProcessState(name, record.pid if record else None, record is not None))
        return states

    def _say(self, phase: str) -> None:
        self._report(phase, time.monotonic() - self._began)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (self._root / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _programs(self) -> dict[str, Path]:
        toolchain = Toolchain(lambda name, phase, _: self._say(f"{name}: {phase}"))
        return {name: toolchain.path(name) for name in _TOOLS}

    def _prepare(self) -> Certificates:
        for folder in ("logs", "run", "charts", "volumes"):
            (self._root / folder).mkdir(exist_ok=True)
        certificates = issue(self._root / "pki", ["kubernetes.default.svc"])
        pack_charts(DEFAULT_CHARTS, self._root / "charts")
        kubeconfig.write_private(self._root / "stages.yaml", render_stages())
        return certificates

    def _ports(self) -> dict[str, int]:
        """The ports of this sandbox; those that somebody else took meanwhile are replaced."""
        file = self._root / "ports.json"
        ports: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
        processes = Processes(self._root)
        owners = {"etcd": "etcd", "peer": "etcd", "apiserver": "apiserver",
                  "kubelet": "agent"}  # fmt: skip
        for use, owner in owners.items():
            alive = processes.find(owner) is not None
            if use not in ports or (not alive and not port_is_free(ports[use])):
                ports[use] = free_port(ports.values())
        kubeconfig.write_private(file, json.dumps(ports))
        return ports

    def _start_server(
        self, tools: Mapping[str, Path], certificates: Certificates, ports: Mapping[str, int]
    ) -> None:
        data = self._root / "etcd"
        etcd = controlplane.etcd(tools["etcd"], data, ports["etcd"], ports["peer"], certificates)
        store = (ports["etcd"], certificates, layout.HOST_PREFIX)
        server = controlplane.apiserver(
            tools["kube-apiserver"], ports["apiserver"], certificates, store
        )
        self._start("etcd", etcd)
        self._start("apiserver", server)
        text = kubeconfig.render(self.name, layout.host_url(self._root), certificates)
        kubeconfig.write_private(self.kubeconfig, text)
        self._await("apiserver", lambda: asyncio.run(_answers(self._root)))

    def _start_rest(self, tools: Mapping[str, Path], certificates: Certificates) -> None:
        controllers = controlplane.controller_manager(
            tools["kube-controller-manager"], self.kubeconfig, certificates,
            controlplane.CONTROLLERS, self._root / "run",
        )  # fmt: skip
        self._start("controller-manager", controllers)
        self._start("scheduler", controlplane.scheduler(tools["kube-scheduler"], self.kubeconfig))
        stages = self._root / "stages.yaml"
        self._start("kwok", controlplane.kwok(tools["kwok"], self.kubeconfig, stages))

    def _start_agent(self, tools: Mapping[str, Path]) -> None:
        programs = {name: str(path) for name, path in tools.items()}
        kubeconfig.write_private(self._root / "tools.json", json.dumps(programs))
        argv = [sys.executable, "-m", "atoll.hosts.sandbox.agent", str(self._root)]
        env = {"PYTHONPATH": str(Path(atoll.__file__).parents[1]), "PYTHONUNBUFFERED": "1"}
        env["ATOLL_SANDBOX_CODE"] = _code_digest()
        self._start("agent", controlplane.Command(argv, env))
        record = Processes(self._root).find("agent")
        ready = layout.agent_ready(self._root)

        def is_ready() -> bool:
            return record is not None and ready.exists() and ready.read_text() == str(record.pid)

        self._await("agent", is_ready)

    def _start(self, name: str, command: controlplane.Command) -> None:
        log = self._root / "logs" / f"{name}.log"
        Processes(self._root).start(name, command.argv, log, command.env)

    def _await(self, name: str, ready: Callable[[], bool]) -> None:
        """Wait for a process; SandboxError when it dies or takes too long."""
        record = Processes(self._root).find(name)
        deadline = time.monotonic() + _READY_SECONDS
        while not ready():
            died = record is None or start_time(record.pid) != record.started
            if died or time.monotonic() > deadline:
                how = "ended at once" if died else f"was not ready within {_READY_SECONDS:.0f} s"
                log = self._root / "logs" / f"{name}.log"
                raise SandboxError(f"{name} {how}; its last words in {log}:\n{_tail(log)}")
            time.sleep(0.05)


def _code_digest() -> str:
    """Changes with the agent's source, so that an upgraded Atoll starts a new agent."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


async def _answers(root: Path) -> bool:
    client = layout.host_client(root)
    try:
        return await client.ready()
    finally:
        await client.close()


def _tail(log: Path, lines: int = 5) -> str:
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except OSError:
        return "(no log)"
