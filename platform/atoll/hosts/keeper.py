"""Starts dead processes of a local platform again: `python -m atoll.hosts.keeper FOLDER`.

What Kubernetes does for the platform's pods. Once a second it looks whether the units of its plan
live (by the records of `atoll.hosts.detached`: pid and start time) and starts a dead one as
`Platform.start` did: same arguments, settings and log. One that dies again within 5 s waits 1, 2,
4 ... 30 s for its next start. The queue's Redis is not kept: it is the user's to stop and start,
and the platform stands its absence.

The plan is a private file, because settings hold the broker's password; nothing of it is logged.
`atoll up` rewrites it, and the lock of `Platform` keeps a start here out of an `up` or `down`.
This process runs for as long as the platform does, so it imports the standard library alone.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from atoll.hosts.detached import Processes
from atoll.hosts.processes import Platform, Unit, private_file

NAME = "keeper"
LOOK_SECONDS = 1.0
AT_ONCE_SECONDS = 5.0
"""A unit that lives shorter than this after a start here has died again at once."""
LONGEST_PAUSE = 30.0


def keeper_unit(root: Path) -> Unit:
    """The keeper itself; without docstrings (-OO, not by the environment, which units inherit)."""
    argv = [sys.executable, "-OO", "-m", "atoll.hosts.keeper", str(root)]
    return Unit(NAME, argv, {}, port_file=False)


def write_plan(root: Path, units: Sequence[Unit]) -> None:
    """Say which units are to be kept, in a file that only its owner reads."""
    text = json.dumps([asdict(unit) for unit in units])
    # At once and whole: the keeper may read at any moment.
    private_file(_plan(root).with_suffix(".new"), text).replace(_plan(root))


def read_plan(root: Path) -> list[Unit]:
    """The units to be kept; none when there is no plan, as after an `atoll down`."""
    try:
        return [Unit(**entry) for entry in json.loads(_plan(root).read_text())]
    except FileNotFoundError:
        return []


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@dataclass
class Trouble:
    """What is known of a unit that was started here: when (monotonic), and its next pause."""

    started: float
    pause: float = 0.0

    def pause_at(self, now: float) -> float:
        """Seconds from its death at `now` to its next start; longer with every death at once."""
        if now - self.started >= AT_ONCE_SECONDS:
            self.pause = 0.0
            return 0.0
        self.pause = min(max(1.0, 2 * self.pause), LONGEST_PAUSE)
        return self.pause


class Keeper:
    """Keeps the units of one platform; `clock` gives monotonic seconds, `tell` writes one line."""

    def __init__(
        self,
        platform: Platform,
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[str], None] = _print,
    ) -> None:
        self._platform, self._clock, self._tell = platform, clock, tell
        self._troubles: dict[str, Trouble] = {}
        self._due: dict[str, float] = {}

    def look(self) -> list[str]:
        """Start what is dead and due; the names of those started."""
        root = self._platform.root
        if not self._dead(read_plan(root)):
            self._due.clear()
            return []
        with self._platform.locked():
            # Read again: while we waited for the lock an `atoll up` may have changed everything.
            dead = self._dead(read_plan(root))
            self._due = {u.name: self._due_of(u.name) for u in dead}
            due = [unit for unit in dead if self._due[unit.name] <= self._clock()]
            return [unit.name for unit in due if self._start(unit)]

    def _dead(self, units: Sequence[Unit]) -> list[Unit]:
        processes = Processes(self._platform.root)
        return [unit for unit in units if processes.find(unit.name) is None]

    def _due_of(self, name: str) -> float:
        """When a dead unit is to be started: decided once for each death."""
        if name not in self._due:
            now, trouble = self._clock(), self._troubles.get(name)
            self._due[name] = now + (trouble.pause_at(now) if trouble else 0.0)
        return self._due[name]

    def _start(self, unit: Unit) -> bool:
        trouble = self._troubles.setdefault(unit.name, Trouble(self._clock()))
        trouble.started = self._clock()
        del self._due[unit.name]
        try:
            self._platform.start([unit])
        except OSError as error:  # its program is not there, or there is no room for a process
            self._say("error", "unit.not_started", unit=unit.name, error=error.strerror)
            return False
        record = Processes(self._platform.root).find(unit.name)
        pid = record.pid if record else None
        self._say("warning", "unit.restarted", unit=unit.name, pid=pid, paused=trouble.pause)
        return True

    def _say(self, level: str, event: str, **facts: object) -> None:
        when = datetime.now(UTC).isoformat()
        head = {"event": event, "level": level, "logger": __name__, "time": when, "process": NAME}
        self._tell(json.dumps(head | facts))


def main(arguments: Sequence[str]) -> int:
    """Look once a second until the platform's folder is gone."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m atoll.hosts.keeper FOLDER (of a platform)\n")
        return 2
    platform = Platform(Path(arguments[0]))
    keeper = Keeper(platform)
    while _plan(platform.root).exists():
        keeper.look()
        time.sleep(LOOK_SECONDS)
    return 0


def _plan(root: Path) -> Path:
    return root / "keeper.json"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
