"""Steps as they happen, on stderr: each once, with its time."""

import sys
import time
from collections.abc import Callable, Iterable
from datetime import datetime

from atoll.cli.paint import paint
from atoll.resources.virtual_clusters import StepStatus, VirtualClusterStatus

Say = Callable[[str], None]
_QUIET_SECONDS = 15.0
_MARKS = {"done": ("ok", "green"), "failed": ("failed", "red"), "again": ("again", "yellow")}


def line(mark: str, what: str, seconds: float | None, note: str = "") -> str:
    """One line of progress: mark, what, seconds, note."""
    word, colour = _MARKS[mark]
    shown = paint(word.ljust(6), colour, sys.stderr)
    took = f"{seconds:7.1f} s" if seconds is not None else " " * 9
    return f"  {shown} {what:<44} {took}{'  ' + note if note else ''}".rstrip()


class StepLines:
    """Prints the steps of one operation; those that were over before it began stay unsaid."""

    def __init__(
        self, say: Say, before: Iterable[StepStatus] = (), *, deleting: bool = False
    ) -> None:
        self._say = say
        self._prefix = "Undo: " if deleting else ""  # deletion runs the same steps backwards
        self._told = {_identity(step) for step in before if step.state in _MARKS}
        self._last = time.monotonic()
        self._waits: set[str] = set()

    def show(self, status: VirtualClusterStatus) -> None:
        """Tell what is new in the steps."""
        for step in status.steps:
            if step.state not in _MARKS or _identity(step) in self._told:
                continue
            self._told.add(_identity(step))
            note = step.message if step.state == "failed" else ""
            mark = "again" if step.state == "failed" and status.retry_at else step.state
            what = f"{self._prefix}{step.title or step.name}"
            self._say(line(mark, what, _took(step), note))
            self._last = time.monotonic()

    def still(self, status: VirtualClusterStatus) -> None:
        """After a long silence, say what is being waited for; the same words not twice in a row."""
        if time.monotonic() - self._last < _QUIET_SECONDS:
            return
        self._last = time.monotonic()
        waits = {
            f"  ...    {self._prefix}{step.title}: {step.message or step.reason}"
            for step in status.steps
            if step.state == "running" or (step.state == "failed" and status.retry_at)
        }
        for text in sorted(waits - self._waits):
            self._say(text)
        self._waits = waits


def _identity(step: StepStatus) -> tuple[str, str, str]:
    changing = step.finished_at if step.state == "done" else step.message
    return (step.name, step.state, changing or "")


def _took(step: StepStatus) -> float | None:
    if not (step.started_at and step.finished_at):
        return None
    end, start = datetime.fromisoformat(step.finished_at), datetime.fromisoformat(step.started_at)
    return max((end - start).total_seconds(), 0.0)
