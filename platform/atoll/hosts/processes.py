"""The platform's own processes on this machine: started detached, found again, stopped in order.

They are recognised by pid and start time, never by name, so that a later process that got the same
pid is never ended.
"""

import fcntl
import json
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atoll.hosts.detached import Processes, free_port, port_is_free
from atoll.hosts.errors import HostError

_STOP_SECONDS = 15.0


@dataclass(frozen=True)
class Unit:
    """One process: its program and arguments (never a secret), its environment, its port file."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    port_file: bool = True


@dataclass(frozen=True)
class UnitState:
    """A process that was started: its pid, and whether it lives."""

    name: str
    pid: int | None
    alive: bool


class Platform:
    """All processes of one platform; `root` holds run/ (pids), runtime/ (port files), logs/."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.runtime = self.root / "runtime"
        self.logs = self.root / "logs"
        self._holding = False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else starts or stops a unit meanwhile; may be entered again inside itself."""
        if self._holding:
            yield
            return
        run = self.root / "run"
        run.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (run / "lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            self._holding = True
            try:
                yield
            finally:
                self._holding = False

    def start(self, units: Sequence[Unit]) -> list[str]:
        """Start the units that do not run as asked, all at once; the names of those started."""
        with self.locked():
            return self._start(units)

    def _start(self, units: Sequence[Unit]) -> list[str]:
        for folder in (self.runtime, self.logs):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        processes, started = Processes(self.root), []
        for unit in units:
            before = processes.find(unit.name)
            if before is None:
                # A port file of a dead process would be taken for that of the new one.
                (self.runtime / f"{unit.name}.json").unlink(missing_ok=True)
            record = processes.start(
                unit.name, unit.argv, self.logs / f"{unit.name}.log", unit.env
            )  # fmt: skip
            if before != record:
                started.append(unit.name)
        self._order([unit.name for unit in units])
        return started

    def wait(
        self, unit: Unit, seconds: float, ready: Callable[[], bool] | None = None
    ) -> dict[str, Any]:
        """Wait for a unit's port file (and `ready`); its content. HostError with the log's end."""
        deadline = time.monotonic() + seconds
        processes = Processes(self.root)
        while True:
            record = processes.find(unit.name)
            if record is None:
                raise HostError(self._last_words(unit.name, "ended"))
            found = self.port(unit.name) if unit.port_file else {}
            if found is not None and (not ready or ready()):
                return found
            if time.monotonic() > deadline:
                raise HostError(self._last_words(unit.name, f"was not ready in {seconds:g} s"))
            time.sleep(0.05)

    def port(self, name: str) -> dict[str, Any] | None:
        """What a process wrote about its port, None when it has not yet."""
        with suppress(OSError, ValueError):
            found: dict[str, Any] = json.loads((self.runtime / f"{name}.json").read_text())
            return found
        return None

    def stop(self) -> list[str]:
        """End all of them, last started first: TERM, later KILL. The names that lived."""
        if not self.root.exists():
            return []
        with self.locked():
            return self._stop()

    def _stop(self) -> list[str]:
        processes = Processes(self.root)
        names = processes.names()
        order = self._read_order()
        ended = []
        for name in sorted(names, key=lambda n: -order.index(n) if n in order else 1):
            if processes.find(name) is not None:
                ended.append(name)
            processes.stop(name, grace=_STOP_SECONDS)
        while processes.sweep():
            time.sleep(0.05)
        return ended

    def states(self) -> list[UnitState]:
        """Every process that was started and not stopped."""
        if not self.root.exists():
            return []
        processes = Processes(self.root)
        states = []
        for name in processes.names():
            record = processes.find(name)
            states.append(UnitState(name, record.pid if record else None, record is not None))
        return states

    def _order(self, names: list[str]) -> None:
        order = self._read_order()
        order += [name for name in names if name not in order]
        (self.root / "order.json").write_text(json.dumps(order))

    def _read_order(self) -> list[str]:
        try:
            found: list[str] = json.loads((self.root / "order.json").read_text())
        except (OSError, ValueError):
            return []
        return found

    def _last_words(self, name: str, how: str) -> str:
        log = self.logs / f"{name}.log"
        try:
            tail = "\n".join(log.read_text(errors="replace").splitlines()[-8:])
        except OSError:
            tail = "(no log)"
        return f"{name} {how}; the end of {log}:\n{tail}"


def kept_port(file: Path, *, in_use: bool) -> int:
    """A loopback port that stays the same from start to start, as long as nobody else takes it."""
    with suppress(OSError, ValueError):
        port = int(file.read_text())
        if in_use or port_is_free(port):
            return port
    port = free_port()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(str(port))
    return port


def private_file(path: Path, text: str) -> Path:
    """Write a file that only its owner can read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
    path.chmod(0o600)
    return path


def listens(port: int) -> bool:
    """Whether something listens on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0
