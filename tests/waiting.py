"""Waiting in tests: until something is so, never for a fixed time."""

import time
from collections.abc import Callable


def until(so: Callable[[], object], what: str, seconds: float = 30.0) -> None:
    """Return as soon as `so` is true; AssertionError, naming it, when it is not in time."""
    deadline = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not: {what}"
        time.sleep(0.1)
