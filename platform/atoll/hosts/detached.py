"""Detached local processes that are recognised again by pid and start time, never by name."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

MARK = "ATOLL_SANDBOX_ROOT"
UNIT = "ATOLL_SANDBOX_UNIT"
_SWEEPS = 20
_FORGOTTEN = ("PYTHONPATH", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Record:
    """A started process: enough to tell it from a later one with the same pid."""

    name: str
    pid: int
    started: str
    fingerprint: str


def start_time(pid: int) -> str | None:
    """When a process started (boot id and clock ticks), None when it is gone or a zombie."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    fields = stat.rsplit(")", 1)[1].split()
    return None if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def free_port(chosen: Collection[int] = ()) -> int:
    """A loopback TCP port the operating system says is free now, and none of those `chosen` before: while
    nobody listens on it the system may name the same one again.
    """
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in chosen:
            return port


def port_is_free(port: int) -> bool:
    """Whether a program could listen on this loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


class Processes:
    """Starts, finds again and ends the processes of one sandbox; records live in `root`/run."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._run = root / "run"
        self._run.mkdir(parents=True, exist_ok=True, mode=0o700)

    def start(
        self, name: str, argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None
    ) -> Record:
        """Start a program unless the same one (same argv and env) already runs under that name."""
        fingerprint = _fingerprint(argv, env or {})
        record = self.find(name)
        if record is not None:
            if record.fingerprint == fingerprint:
                return record
            self.stop(name)
        pid = _spawn(argv, log, self._environment(name, env or {}))
        record = Record(name, pid, start_time(pid) or "", fingerprint)
        path = self._run / f"{name}.json"
        path.with_suffix(".new").write_text(json.dumps(asdict(record)))
        path.with_suffix(".new").replace(path)
        return record

    def find(self, name: str) -> Record | None:
        """The record of a process that lives, else None."""
        record = self._read(name)
        alive = record is not None and start_time(record.pid) == record.started
        return record if alive else None

    def names(self) -> list[str]:
        """All names that were started and not stopped, alive or not."""
        return sorted(path.stem for path in self._run.glob("*.json"))

    def stop(self, name: str, grace: float = 5.0) -> None:
        """End a process and everything it started; kill what remains after `grace` seconds."""
        record = self.find(name)
        if record is not None:
            with suppress(ProcessLookupError):
                os.kill(record.pid, signal.SIGTERM)
            deadline = time.monotonic() + grace
            while time.monotonic() < deadline and start_time(record.pid) == record.started:
                time.sleep(0.02)
        self.sweep(name)
        (self._run / f"{name}.json").unlink(missing_ok=True)

    def sweep(self, name: str | None = None) -> int:
        """Kill the processes that carry our mark (of one name, or all); how many there were."""
        marks = {f"{MARK}={self._root}".encode()}
        if name is not None:
            marks.add(f"{UNIT}={name}".encode())
        killed: set[int] = set()
        # Again until none is found: one of them may be starting another while we look.
        for _ in range(_SWEEPS):
            found = list(_marked(marks))
            if not found:
                break
            for pid in found:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
            time.sleep(0.05)
        return len(killed)

    def _read(self, name: str) -> Record | None:
        try:
            return Record(**json.loads((self._run / f"{name}.json").read_text()))
        except (OSError, ValueError, TypeError):
            return None

    def _environment(self, name: str, env: Mapping[str, str]) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if k not in _FORGOTTEN}
        return {**kept, **env, MARK: str(self._root), UNIT: name}


def _fingerprint(argv: Sequence[str], env: Mapping[str, str]) -> str:
    # PATH is the caller's: `atoll up` from another terminal is no reason to start all anew.
    asked = sorted((key, value) for key, value in env.items() if key != "PATH")
    text = json.dumps([list(argv), asked])
    return hashlib.sha256(text.encode()).hexdigest()


def _spawn(argv: Sequence[str], log: Path, env: Mapping[str, str]) -> int:
    log.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), flags, 0o600),
        (os.POSIX_SPAWN_DUP2, 1, 2),
        # A lock or a pipe of whoever called us would stay held for as long as the process lives.
        *((os.POSIX_SPAWN_CLOSE, number) for number in _inherited()),
    ]
    # A session of its own, so that the process outlives the program that started it.
    return os.posix_spawn(
        argv[0],
        list(argv),
        dict(env),
        file_actions=actions,
        setsid=True,
        setsigdef=[signal.SIGPIPE],
    )


def _inherited() -> list[int]:
    """File descriptors that our caller left open and a child would get as well."""
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with suppress(OSError):  # the one of this very listing is closed by now
            if int(entry.name) > 2 and os.get_inheritable(int(entry.name)):
                found.append(int(entry.name))
    return found


def _marked(marks: set[bytes]) -> Iterator[int]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if marks.issubset(environment):
            yield int(entry.name)
