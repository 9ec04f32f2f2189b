"""The processes of the platform on this machine: broker, gateway, API, worker, watcher, sweeper."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx2

from atoll.cli.local.host import Host
from atoll.cli.local.place import Place
from atoll.cli.local.steps import Steps
from atoll.hosts.broker import broker, broker_listens
from atoll.hosts.processes import Unit, kept_port
from atoll.hosts.toolchain import Toolchain

_READY_SECONDS = 60.0


@dataclass(frozen=True)
class Running:
    """Where the platform answers."""

    api: str
    gateway: str


def start(place: Place, host: Host, steps: Steps) -> Running:
    """Start what does not run yet and wait until all of it answers."""
    tools = Toolchain()
    with steps.step("Queue (Redis)") as note:
        queue = broker(tools.path("redis-server"), place.queue, place.platform)
        place.platform.start([queue.unit])
        place.platform.wait(queue.unit, _READY_SECONDS, lambda: broker_listens(queue))
        note(f"port {queue.port}")
    running = Running(_address(place, "api"), _address(place, "gateway"))
    shared = environment(place, host, running, queue.url, tools.path("helm"))
    units = platform_units(shared, running)
    with steps.step("API, gateway, worker, watcher, sweeper") as note:
        started = place.platform.start(units)
        for unit in units:
            place.platform.wait(unit, _READY_SECONDS, _answering(unit.name, running))
        note(f"{len(started)} started" if started else "all running")
    return running


def environment(
    place: Place, host: Host, running: Running, queue: str, helm: Path
) -> dict[str, str]:
    """The settings of every process.

    The broker's address holds a password: it is in the environment, which only this user can read,
    and in no argument.
    """
    place.token()
    env = {
        "ATOLL_KUBECONFIG": str(host.kubeconfig),
        "ATOLL_REACH": host.reach,
        "ATOLL_BROKER_URL": queue,
        "ATOLL_HELM": str(helm),
        "ATOLL_API_URL": running.api,
        "ATOLL_GATEWAY_URL": running.gateway,
        "ATOLL_ADMIN_TOKEN": "",
        "ATOLL_ADMIN_TOKEN_FILE": str(place.token_file),
        "ATOLL_RUNTIME_DIR": str(place.platform.runtime),
        "ATOLL_METRICS_PORT": "0",
        "PATH": f"{helm.parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONUNBUFFERED": "1",
    }
    return env | ({"ATOLL_CHARTS": str(host.charts)} if host.charts else {})


def platform_units(env: dict[str, str], running: Running) -> list[Unit]:
    """The five processes; the order is that of starting, and backwards that of stopping."""
    python = sys.executable

    def listening(url: str) -> dict[str, str]:
        return env | {"ATOLL_LISTEN_PORT": url.rpartition(":")[2]}

    worker = ["-m", "celery", "-A", "atoll_worker.app", "worker", "--concurrency", "4", "-Ofair"]
    return [
        Unit("gateway", [python, "-m", "atoll.main", "gateway"], listening(running.gateway)),
        Unit("api", [python, "-m", "atoll.main", "api"], listening(running.api)),
        Unit("worker", [python, *worker], env),
        Unit("watcher", [python, "-m", "atoll_worker.watch"], env),
        Unit("sweeper", [python, "-m", "atoll_worker.sweep"], env),
    ]


def _address(place: Place, process: str) -> str:
    running = any(s.name == process and s.alive for s in place.platform.states())
    return f"http://127.0.0.1:{kept_port(place.root / 'ports' / process, in_use=running)}"


def _answering(process: str, running: Running) -> Callable[[], bool] | None:
    """How to see that a process answers, for those that are asked over HTTP."""
    where = {"api": f"{running.api}/v1/health", "gateway": f"{running.gateway}/healthz"}
    if process not in where:
        return None

    def answers() -> bool:
        try:
            return httpx2.get(where[process], timeout=5, trust_env=False).is_success
        except httpx2.HTTPError:
            return False

    return answers
