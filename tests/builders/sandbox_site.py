"""A whole platform in the sandbox: real API servers, Redis, Celery, helm and every process of ours."""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from atoll.client.atoll import Atoll
from atoll.cluster.client import Cluster
from atoll.cluster.kinds import SECRET, VIRTUAL_CLUSTER

NAME = "trouble"


@dataclass
class Site:
    """The platform under test and what is needed to disturb it."""

    folder: Path
    api: str
    token: str
    kubeconfig: Path

    def client(self) -> Atoll:
        return Atoll(self.api, self.token)

    def cluster(self) -> Cluster:
        return Cluster.from_file(self.kubeconfig)

    def pids(self, process: str) -> list[int]:
        """The process and all its children, by the pid that was recorded at its start."""
        found = json.loads((self.root / "run" / f"{process}.json").read_text())
        first = int(found["pid"])
        return [first, *children(first)]

    @property
    def root(self) -> Path:
        return self.folder / NAME

    @property
    def charts(self) -> Path:
        return self.environment("worker", "ATOLL_CHARTS")

    @property
    def helm(self) -> Path:
        return self.environment("worker", "ATOLL_HELM")

    @property
    def broker(self) -> str:
        return str(self._environment("worker")["ATOLL_BROKER_URL"])

    def environment(self, process: str, key: str) -> Path:
        return Path(self._environment(process)[key])

    def _environment(self, process: str) -> dict[str, str]:
        raw = Path(f"/proc/{self.pids(process)[0]}/environ").read_text()
        return dict(pair.split("=", 1) for pair in raw.split("\0") if "=" in pair)

    def kill_host_api_server(self) -> None:
        found = json.loads((self.root / "sandbox" / "run" / "apiserver.json").read_text())
        os.kill(int(found["pid"]), signal.SIGKILL)

    def kill(self, process: str) -> None:
        """kill -9, the children as well: nothing gets to say goodbye."""
        for pid in reversed(self.pids(process)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue

    def end_keeper(self) -> None:
        """kill -9 of the keeper alone: what is killed now stays dead until the next `up`."""
        os.kill(self.pids("keeper")[0], signal.SIGKILL)

    def restarts(self, process: str) -> int:
        """How often the keeper has started a process anew."""
        lines = (self.root / "logs" / "keeper.log").read_text().splitlines()
        told = [json.loads(line) for line in lines]
        return len([t for t in told if (t["event"], t["unit"]) == ("unit.restarted", process)])

    def up(self) -> None:
        """Start again what is missing and not the keeper's: Redis, the host, the keeper itself."""
        run(self.folder, "up", "--no-demo", "-o", "json")


async def inside_of(host: Cluster, name: str) -> Cluster:
    """A virtual cluster's API as its administrator, by what vcluster left on the host."""
    secret = await host.get(SECRET, f"vc-{name}", f"vc-{name}")
    return Cluster.from_dict(yaml.safe_load(base64.b64decode(secret["data"]["config"])))


def children(pid: int) -> list[int]:
    """All that a process has started, and what these have; each thread counts its own children."""
    threads: list[Path] = []
    with suppress(OSError):  # it may end while we look
        threads += Path(f"/proc/{pid}/task").iterdir()
    direct: list[int] = []
    for thread in threads:
        with suppress(OSError):
            direct += [int(p) for p in (thread / "children").read_text().split()]
    return [d for child in direct for d in (child, *children(child))]


def run(home: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "atoll.cli.app", *arguments, "--name", NAME],
        env={**os.environ, "ATOLL_HOME": str(home), "XDG_CONFIG_HOME": str(home / "config")},
        capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip
    if check and done.returncode != 0:
        pytest.fail(
            f"atoll {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr[-3000:]}"
        )
    return done


async def until(
    cluster: Cluster, name: str, test: Callable[[dict[str, Any] | None], bool], seconds: float = 120
) -> dict[str, Any] | None:
    """Wait until the virtual cluster (None when it is gone) passes the test; its last state."""
    deadline = time.monotonic() + seconds
    while True:
        found = await cluster.find(VIRTUAL_CLUSTER, name)
        if test(found):
            return found
        if time.monotonic() > deadline:
            status = (found or {}).get("status", {})
            open_steps = [s for s in status.get("steps", []) if s["state"] != "done"]
            pytest.fail(f"{name} is {status.get('phase')} after {seconds:g} s: {open_steps}")
        await asyncio.sleep(0.2)


def ready(found: dict[str, Any] | None) -> bool:
    status = (found or {}).get("status") or {}
    truths = {c["type"]: c["status"] for c in status.get("conditions", [])}
    fresh = status.get("observedGeneration") == (found or {}).get("metadata", {}).get("generation")
    return fresh and truths.get("Ready") == "True"
