"""A platform started on this machine by `atoll up`, as a person would."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from atoll.client import Atoll
from atoll.errors import AtollError
from e2e.no_way_out import NoWayOut
from e2e.stage import ROOT, Stage

PROCESSES = ("api", "gateway", "worker", "follower", "redis", "keeper")


@dataclass
class Ran:
    """A finished command: exit code, both outputs, seconds."""

    code: int
    out: str
    err: str
    seconds: float


@dataclass
class Local:
    """One platform by name, with a home of its own."""

    stage: Stage
    home: Path
    name: str = "e2e"
    extra: list[subprocess.Popen[bytes]] = field(default_factory=list)
    no_way_out: NoWayOut = field(init=False)

    def __post_init__(self) -> None:
        self.no_way_out = NoWayOut(self.stage.kubeconfig)

    @property
    def env(self) -> dict[str, str]:
        """The environment of every `atoll` of this platform, and so of its processes."""
        return {
            **os.environ,
            **self.no_way_out.env,
            "ATOLL_HOME": str(self.home / "home"),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "ATOLL_BUNDLE": str(self.stage.bundle),
            "KUBECONFIG": str(self.stage.kubeconfig),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{Path(self.stage.helm).parent}"
            f"{os.pathsep}{os.environ['PATH']}",
            "COLUMNS": "160",
        }

    def atoll(self, *arguments: str, timeout: float = 900) -> Ran:
        """One command; never raises for its exit code."""
        began = time.monotonic()
        done = subprocess.run(
            [str(Path(sys.executable).with_name("atoll")), *arguments], env=self.env, cwd=ROOT,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        return Ran(done.returncode, done.stdout, done.stderr, time.monotonic() - began)

    def up(self, *, demo: bool, person: bool = False) -> Ran:
        """`atoll up`, which answers with JSON, or as a person reads it."""
        return self.atoll(
            "up", "--host", "kubeconfig", "--name", self.name,
            "--demo" if demo else "--no-demo", *(() if person else ("-o", "json")),
        )  # fmt: skip

    def demo(self) -> None:
        """The demonstration is there and Ready; made when no test before has."""
        with suppress(OSError, AtollError), self.client() as client:
            if client.virtual_clusters.get("demo").status.phase == "Ready":
                return
        ran = self.up(demo=True)
        assert ran.code == 0, ran.err

    def down(self) -> Ran:
        """Everything of it away, also workers that a test has added."""
        self.end_extra()
        return self.atoll("down", "--name", self.name)

    def end(self) -> None:
        """What `atoll down` could not end, so that it does not work on at the same cluster."""
        self.end_extra()
        self.no_way_out.close()
        mark, found = f"ATOLL_SANDBOX_ROOT={self.root}".encode(), True
        while found:  # the keeper may have started something before it was its turn
            found = False
            for entry in Path("/proc").iterdir():
                with suppress(OSError, ValueError):
                    if mark in (entry / "environ").read_bytes().split(b"\0"):
                        os.kill(int(entry.name), signal.SIGKILL)
                        found = True

    @property
    def root(self) -> Path:
        return self.home / "home" / self.name

    @property
    def lives(self) -> bool:
        return (self.root / "state.json").exists()

    @contextmanager
    def client(self) -> Iterator[Atoll]:
        """The typed client with the platform's own token."""
        address = json.loads((self.root / "runtime" / "api.json").read_text())
        token = (self.root / "admin-token").read_text().strip()
        with Atoll(address["url"], token) as client:
            yield client

    def pid(self, process: str) -> int:
        found: int = json.loads((self.root / "run" / f"{process}.json").read_text())["pid"]
        return found

    def end_keeper(self) -> None:
        """kill -9: what is killed now stays dead until the next `up`."""
        os.kill(self.pid("keeper"), signal.SIGKILL)

    def environment_of(self, process: str) -> dict[str, str]:
        """The settings that a process of the platform was started with."""
        raw = Path(f"/proc/{self.pid(process)}/environ").read_bytes().split(b"\0")
        return dict(entry.decode().split("=", 1) for entry in raw if b"=" in entry)

    def add_worker(self, env: dict[str, str]) -> int:
        """Another Celery worker, with its runtime files apart; its pid."""
        number = len(self.extra)
        runtime = self.home / f"worker-{number}"
        runtime.mkdir(exist_ok=True)
        mine = {k: v for k, v in env.items() if not k.startswith("ATOLL_SANDBOX_")}
        mine["ATOLL_RUNTIME_DIR"] = str(runtime)
        argv = [sys.executable, "-m", "celery", "-A", "atoll_worker.app", "worker",
                "--concurrency", "2", "-n", f"extra{number}@%h"]  # fmt: skip
        with (runtime / "log").open("wb") as log:
            self.extra.append(
                subprocess.Popen(argv, env=mine, stdout=log, stderr=log, start_new_session=True)
            )
        return self.extra[-1].pid

    def end_extra(self) -> None:
        for process in self.extra:
            kill_tree(process.pid)
            process.wait(10)
        self.extra.clear()


def tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, todo = [], [pid]
    while todo:
        here = todo.pop()
        found.append(here)
        todo += children.get(here, [])
    return found


def kill_tree(pid: int) -> int:
    """kill -9 of a process and of all that it started, the youngest last; how many there were."""
    killed = 0
    for found in tree(pid):
        with suppress(ProcessLookupError):
            os.kill(found, signal.SIGKILL)
            killed += 1
    return killed
