"""A browser that stands still ends its test with words, and leaves the next one a working browser."""

import os
import shutil
import signal
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Playwright

from builders.chromium import Chromium, StoodStillError, bounded


@pytest.fixture
def another(playwright: Playwright) -> Iterator[Chromium]:
    """A browser of this test's own, to be stopped."""
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    assert program
    made = Chromium(playwright, program)
    yield made
    made.close()


def test_a_script_that_never_answers_is_ended_and_the_page_goes_on(another: Chromium) -> None:
    context = another.new_context()
    page = context.new_page()
    with (
        pytest.raises(StoodStillError, match="The script did not end within"),
        bounded("The script", 2),
    ):
        page.evaluate("new Promise(() => {})")
    assert page.evaluate("1 + 1") == 2
    another.end(context)


def test_a_browser_that_does_not_move_is_replaced(another: Chromium) -> None:
    context = another.new_context()
    page = context.new_page()
    assert page.evaluate("1 + 1") == 2
    assert another.pids
    for pid in another.pids:
        os.kill(pid, signal.SIGSTOP)
    with pytest.raises(StoodStillError, match="The page did not end"), bounded("The page", 2):
        page.evaluate("1 + 1")
    with pytest.raises(StoodStillError, match="Closing a page did not end"):
        another.end(context, 2)
    fresh = another.new_context()
    assert fresh.new_page().evaluate("2 + 2") == 4
    another.end(fresh)


def test_an_outer_limit_goes_on_after_an_inner_one() -> None:
    with pytest.raises(StoodStillError, match="Outer"), bounded("Outer", 1):
        with bounded("Inner", 30):
            pass
        while True:
            time.sleep(0.05)
