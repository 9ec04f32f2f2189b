"""The processes of the platform on this machine: broker, gateway, API, worker, follower, keeper."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx2

from atoll.cli.local.host import Host
from atoll.cli.local.place import SIMULATED, Place
from atoll.cli.local.steps import Steps
from atoll.hosts.broker import broker, broker_listens
from atoll.hosts.keeper import keeper_unit, write_plan
from atoll.hosts.processes import Unit, kept_port
from atoll.hosts.sandbox.certificates import issue_serving
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
    with steps.step("API, gateway, worker, follower, keeper") as note:
        with place.platform.locked():  # the keeper must not take a port between look and start
            running = Running(_address(place, "api"), _address(place, "gateway"))
            shared = environment(place, host, running, queue.url, tools.path("helm"))
            units = platform_units(shared | secure(place), running)
            write_plan(place.platform.root, units)
            started = place.platform.start(units)
        for unit in units:
            place.platform.wait(unit, _READY_SECONDS, _answering(unit.name, running))
        started += place.platform.start([keeper_unit(place.platform.root)])
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
        "ATOLL_SERVICE": "1",
        # glibc keeps a heap for every thread, and what was free in it once it held something large.
        "MALLOC_ARENA_MAX": "2",
        "MALLOC_TRIM_THRESHOLD_": "131072",
    }
    if host.charts:
        env["ATOLL_CHARTS"] = str(host.charts)
    if host.kind == "sandbox":
        env["ATOLL_SANDBOX"] = " ".join(SIMULATED.split())
    return env


def secure(place: Place) -> dict[str, str]:
    """The gateway's way in with TLS: kubectl sends tokens over nothing else."""
    certificates = issue_serving(place.root / "tls", ())
    # Kept like the other ports: a kubeconfig that was written stays good over another `atoll up`.
    port = kept_port(place.root / "ports" / "tls", in_use=_runs(place, "gateway"))
    certificate, key = certificates.server
    return {
        "ATOLL_KUBERNETES_URL": f"https://127.0.0.1:{port}",
        "ATOLL_KUBERNETES_CA_FILE": str(certificates.ca),
        "ATOLL_LISTEN_TLS_PORT": str(port),
        "ATOLL_TLS_CERT_FILE": str(certificate),
        "ATOLL_TLS_KEY_FILE": str(key),
    }


def platform_units(env: dict[str, str], running: Running) -> list[Unit]:
    """The four that the keeper keeps, in the order of their start; they stop backwards."""
    python = sys.executable

    def listening(url: str) -> dict[str, str]:
        return env | {"ATOLL_LISTEN_PORT": url.rpartition(":")[2]}

    worker = ["-m", "celery", "-A", "atoll_worker.app", "worker", "--concurrency", "2"]
    # These serve no pages that are made of docstrings; without them each takes some 10 MiB less.
    lean = env | {"PYTHONOPTIMIZE": "2"}
    return [
        Unit("gateway", [python, "-m", "atoll.main", "gateway"], listening(running.gateway)),
        Unit("api", [python, "-m", "atoll.main", "api"], listening(running.api)),
        Unit("worker", [python, *worker], lean),
        Unit("follower", [python, "-m", "atoll_worker.follow"], lean),
    ]


def _address(place: Place, process: str) -> str:
    port = kept_port(place.root / "ports" / process, in_use=_runs(place, process))
    return f"http://127.0.0.1:{port}"


def _runs(place: Place, process: str) -> bool:
    return any(state.name == process and state.alive for state in place.platform.states())


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
