"""Real Ray processes for pods of the image rayproject/ray."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shlex
import shutil
from pathlib import Path

import httpx2

from atoll.hosts.detached import Record, free_port, port_is_free
from atoll.hosts.sandbox import layout
from atoll.hosts.sandbox.agent import rayentry, rayenv
from atoll.hosts.sandbox.agent.containers import (
    MissingReferenceError,
    command,
    environment,
    remove_pod_folder,
)
from atoll.hosts.sandbox.agent.endpoints import resolve
from atoll.hosts.sandbox.agent.gang import thousandths
from atoll.hosts.sandbox.agent.kubelet import RunningPod
from atoll.hosts.sandbox.agent.translate import VIRTUAL_NAMESPACE
from atoll.hosts.sandbox.agent.world import MANAGED_BY, World, ended
from atoll.hosts.sandbox.images import Play, play_of
from atoll.hosts.sandbox.kube import Obj
from atoll.hosts.sandbox.kubeconfig import write_private

_HEAD_PORTS = {"gcs": 6379, "dashboard": 8265, "client": 10001, "metrics": 8080}
_OURS = ("--head", "--block", "--address", "--port", "--dashboard-port", "--dashboard-host",
         "--ray-client-server-port", "--metrics-export-port", "--node-ip-address", "--temp-dir",
         "--dashboard-agent-listen-port", "--dashboard-agent-grpc-port", "--num-cpus",
         "--num-gpus", "--min-worker-port", "--max-worker-port", "--object-store-memory",
         "--node-manager-port", "--object-manager-port", "--include-dashboard", "--redis-password",
         "--redis-username")  # fmt: skip
# Many Ray nodes share one machine here; their own limits are for a machine each.
_PATIENCE = {
    "RAY_agent_register_timeout_ms": "180000",
    "RAY_worker_register_timeout_seconds": "180",
}
_OBJECT_STORE_BYTES = 100_000_000


def start_flags(words: list[str]) -> dict[str, str]:
    """Flags of the first `ray start` in a container's command line; empty when there is none."""
    text = " ".join(words)
    _, found, rest = text.partition("ray start")
    if not found:
        return {}
    for end in (";", "&&", "||", "\n"):
        rest = rest.partition(end)[0]
    flags: dict[str, str] = {}
    name = ""
    for word in shlex.split(rest):
        if word.startswith("--"):
            name, _, value = word.partition("=")
            flags[name] = value
        elif name:
            flags[name] = word
    return flags


def processors(container: Obj, asked: str | None) -> int:
    """CPUs of a Ray node: what rayStartParams say, else the limit or request rounded down."""
    if asked is not None:
        return int(asked)
    resources = container.get("resources") or {}
    for section in ("limits", "requests"):
        if "cpu" in (resources.get(section) or {}):
            return max(1, thousandths(resources[section]["cpu"]) // 1000)
    return 1


def cluster_key(pod: Obj) -> str:
    """A short name for the Ray cluster a host pod belongs to, the same for all of its pods."""
    meta = pod["metadata"]
    labels = meta.get("labels") or {}
    parts = [meta["namespace"], labels.get(MANAGED_BY, ""), labels.get(VIRTUAL_NAMESPACE, ""),
             labels.get("ray.io/cluster", meta["name"])]  # fmt: skip
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:8]


class Ray:
    """Program of the image rayproject/ray: a head or a worker."""

    async def run(self, pod: RunningPod) -> int:
        """Run until Ray ends."""
        container = next(
            one for one in pod.manifest["spec"]["containers"] if play_of([one["image"]]) is Play.RAY
        )
        node = RayNode(pod, container)
        try:
            return await node.run()
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.to_thread(node.stop))
            remove_pod_folder(pod)
            raise


class RayNode:
    """One Ray node and its processes."""

    def __init__(self, pod: RunningPod, container: Obj) -> None:
        self._pod, self._container = pod, container
        self._unit = f"pod-{pod.uid}"
        self._version = container["image"].rsplit(":", 1)[-1].split("-")[0].split("@")[0]
        self._folder = layout.scratch(pod.world.root) / cluster_key(pod.manifest)
        self._env: dict[str, str] = {}
        self._flags: dict[str, str] = {}
        self._ports: dict[str, int] = {}

    async def run(self) -> int:
        """Make the environment, start Ray, report readiness, wait for the end."""
        python = await self._environment()
        head = "--head" in self._flags
        address = "" if head else await self._gcs_address()
        if self._pod.world.processes.find(self._unit) is None:
            await asyncio.to_thread(self.stop)
            self._pod.turn_log()
        self._ports = self._choose_ports(head)
        argv = [str(python), "-P", rayentry.__file__, "start", "--block", *self._arguments(address)]
        processes = self._pod.world.processes
        record = processes.start(self._unit, argv, self._pod.log, self._variables(python, address))
        await self._pod.started()
        await self._until_ready(record, head)
        await ended(record)
        return 1

    def stop(self) -> None:
        """End Ray with everything it started."""
        self._pod.world.processes.stop(self._unit, grace=3)

    async def _environment(self) -> Path:
        pod = self._pod
        while True:
            try:
                self._env = await environment(pod, self._container)
                break
            except MissingReferenceError as problem:
                await pod.waiting("CreateContainerConfigError", str(problem))
                await asyncio.sleep(1)
        words = command(self._container, self._env)
        generated = self._env.get("KUBERAY_GEN_RAY_START_CMD")
        self._flags = start_flags([generated] if generated else words)
        if rayenv.ready(self._version) is None:
            message = f"installing Ray {self._version}; the first time this takes minutes"
            await pod.waiting("ContainerCreating", message)
            await pod.world.host.event(pod.manifest, "Pulling", message, warning=False)
        return await rayenv.python_of(self._version)

    async def _gcs_address(self) -> str:
        host, _, port = self._flags.get("--address", "").rpartition(":")
        said = False
        while True:
            found = resolve(self._pod.site, self._pod.namespace, host, int(port or 6379))
            if found is not None:
                return found
            if not said:
                await self._pod.waiting("PodInitializing", "waits for the GCS of the Ray head")
                said = True
            await asyncio.sleep(0.2)

    def _choose_ports(self, head: bool) -> dict[str, int]:
        """The node's ports; a head keeps its own, since its workers come back to them."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = self._folder / ("head.json" if head else f"{self._pod.uid}.json")
        names = ["agent", "agent-grpc", "metrics"]
        names += ["gcs", "dashboard", "client"] if head else []
        known: dict[str, int] = json.loads(file.read_text()) if file.exists() else {}
        running = self._pod.world.processes.find(self._unit) is not None
        for name in names:
            if name not in known or (not running and not port_is_free(known[name])):
                known[name] = free_port(known.values())
        write_private(file, json.dumps(known))
        return known

    def _arguments(self, address: str) -> list[str]:
        ports, limits = self._ports, (self._container.get("resources") or {}).get("limits") or {}
        arguments = [
            "--node-ip-address=127.0.0.1",
            f"--dashboard-agent-listen-port={ports['agent']}",
            f"--dashboard-agent-grpc-port={ports['agent-grpc']}",
            f"--metrics-export-port={ports['metrics']}",
            "--min-worker-port=0",
            "--max-worker-port=0",
            f"--object-store-memory={_OBJECT_STORE_BYTES}",
            f"--num-cpus={processors(self._container, self._flags.get('--num-cpus'))}",
            f"--num-gpus={self._flags.get('--num-gpus', limits.get('nvidia.com/gpu', 0))}",
            "--disable-usage-stats",
        ]
        if address:
            arguments.append(f"--address={address}")
        else:
            arguments += [
                "--head",
                f"--port={ports['gcs']}",
                f"--dashboard-port={ports['dashboard']}",
                "--dashboard-host=127.0.0.1",
                f"--ray-client-server-port={ports['client']}",
                f"--temp-dir={self._folder}",
            ]
        for name, value in self._flags.items():
            if name not in _OURS:
                arguments.append(f"{name}={value}" if value else name)
        return arguments

    def _variables(self, python: Path, address: str) -> dict[str, str]:
        env = dict(self._env)
        if "RAY_REDIS_ADDRESS" in env:
            env["RAY_REDIS_ADDRESS"] = self._local_redis(env["RAY_REDIS_ADDRESS"])
        if env.get("RAY_ADDRESS", "auto") != "auto":
            env["RAY_ADDRESS"] = address or f"127.0.0.1:{self._ports['gcs']}"
        return {
            **_PATIENCE,
            **env,
            "PATH": f"{python.parent}:/usr/local/bin:/usr/bin:/bin",
            "HOME": os.environ.get("HOME", "/root"),
            "PYTHONUNBUFFERED": "1",
            "RAY_OBJECT_STORE_ALLOW_SLOW_STORAGE": "1",
            "RAY_USAGE_STATS_ENABLED": "0",
            # Ray's own children then stay on the loopback address as well.
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
        }

    def _local_redis(self, addresses: str) -> str:
        """Redis addresses with Service names replaced; a name that answers nothing yet stays."""
        return ",".join(self._local(address) for address in addresses.split(","))

    def _local(self, address: str) -> str:
        scheme, mark, rest = address.rpartition("://")
        host, _, port = rest.partition(":")
        found = resolve(self._pod.site, self._pod.namespace, host, int(port or 6379))
        return scheme + mark + (found or rest)

    async def _until_ready(self, record: Record, head: bool) -> None:
        agent = f"http://127.0.0.1:{self._ports['agent']}/api/local_raylet_healthz"
        urls = [agent]
        if head:
            urls.append(f"http://127.0.0.1:{self._ports['dashboard']}/api/version")
        async with httpx2.AsyncClient(trust_env=False, timeout=2) as client:
            over = asyncio.create_task(ended(record))
            while not over.done():
                if all([await _answers(client, url) for url in urls]):
                    named = {_HEAD_PORTS[n]: p for n, p in self._ports.items() if n in _HEAD_PORTS}
                    await self._pod.ready(named)
                    break
                await asyncio.sleep(0.3)
            over.cancel()


async def _answers(client: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await client.get(url)).status_code < 500
    except httpx2.HTTPError:
        return False


def collect(world: World) -> None:
    """Remove the folders of Ray clusters that have no pod any more."""
    folder = layout.scratch(world.root)
    if not folder.is_dir():
        return
    alive = {cluster_key(pod) for pod in world.pods.all()}
    for entry in folder.iterdir():
        if entry.name not in alive:
            shutil.rmtree(entry, ignore_errors=True)
