"""A real Chromium whose every wait ends: a browser that stands still is a failure with words.

Playwright bounds navigations and locators, and leaves others without any limit (evaluate, new pages,
viewport, closing). `bounded` ends those by a signal; a browser that does not even close is killed and
the next test gets a new one.
"""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Error, Playwright

from builders.sandbox_site import children

ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]
PATIENCE = 30.0
"""Seconds; the tests also run on machines that are busy with others."""


class StoodStillError(AssertionError):
    """Something of the browser did not end in time."""


@contextmanager
def bounded(what: str, seconds: float = PATIENCE) -> Iterator[None]:
    """Raise StoodStillError in the block when it has not ended by then.

    By SIGALRM, as pytest-timeout does, whose own alarm goes on afterwards with what is left of it.
    """

    def stop(_: int, frame: FrameType | None) -> None:
        raise StoodStillError(f"{what} did not end within {seconds:g} s")

    began = time.monotonic()
    before = signal.signal(signal.SIGALRM, stop)
    left, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if left:
            remaining = left - (time.monotonic() - began)
            signal.setitimer(signal.ITIMER_REAL, max(remaining, 0.01))


class Chromium:
    """One browser at a time; a new one after one that stood still or died."""

    def __init__(self, playwright: Playwright, program: str) -> None:
        self._playwright, self._program = playwright, program
        self._browser: Browser | None = None
        self.pids: list[int] = []
        """Its processes, the first of them before all others."""

    def new_context(self, **options: Any) -> BrowserContext:
        """A fresh profile, with PATIENCE for whatever takes a time-out."""
        with bounded("Starting the browser"):
            if self._browser is None or not self._browser.is_connected():
                self._start()
            assert self._browser
            made = self._browser.new_context(**options)
        made.set_default_timeout(PATIENCE * 1000)
        return made

    def _start(self) -> None:
        known = set(children(os.getpid()))
        self._browser = self._playwright.chromium.launch(
            executable_path=self._program, args=ARGUMENTS, timeout=PATIENCE * 1000
        )
        self.pids = [pid for pid in children(os.getpid()) if pid not in known]

    def end(self, context: BrowserContext, seconds: float = PATIENCE) -> None:
        """Close the profile; a browser that does not is killed, and that is a StoodStillError."""
        try:
            with bounded("Closing a page", seconds):
                context.close()
        except StoodStillError:
            self.kill()
            raise

    def close(self) -> None:
        """The end of all tests."""
        if self._browser is None or not self._browser.is_connected():
            return
        try:
            with bounded("Closing the browser"):
                self._browser.close()
        except (StoodStillError, Error):
            self.kill()
            raise

    def kill(self) -> None:
        """End its processes; Playwright notices by itself, and the next profile is in a new one."""
        for pid in [p for p in self.pids if Path(f"/proc/{p}").exists()]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._browser = None
