"""What the tests measured, printed at the end of the run."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Figures:
    """Lines of the summary, in the order they were noted."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        """Keep a line for the summary and show it now (with -s)."""
        self.lines.append(text)
        print(f"\n  {text}", flush=True)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Note how many seconds something took."""
        began = time.monotonic()
        yield
        self.note(f"{what}: {time.monotonic() - began:.1f} s")
