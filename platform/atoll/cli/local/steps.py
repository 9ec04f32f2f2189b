"""The steps of `atoll up` itself, each with the time it took."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from atoll.cli.progress import line

Say = Callable[[str], None]


class Steps:
    """Prints a line per step when it is over, on stderr."""

    def __init__(self, say: Say) -> None:
        self.say = say
        self._began = time.monotonic()

    @contextmanager
    def step(self, what: str) -> Iterator[Callable[[str], None]]:
        """One step; call what it gives to add a remark to its line."""
        began = time.monotonic()
        notes: list[str] = []
        try:
            yield notes.append
        except BaseException:
            self.say(line("failed", what, time.monotonic() - began))
            raise
        self.say(line("done", what, time.monotonic() - began, ", ".join(notes)))

    def phase(self, what: str, seconds: float) -> None:
        """A part that reports its own time."""
        self.say(line("done", what, seconds))

    @property
    def total(self) -> float:
        """Seconds since the first step began."""
        return time.monotonic() - self._began
