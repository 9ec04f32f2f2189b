"""Programs of a measurement: seen when they end, ended with it, out of reach of signals to our group."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.gangs.site import Programs, SiteError

from waiting import until

SLEEP = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    made = Programs(tmp_path)
    yield made
    made.end()


def test_one_that_ends_by_itself_is_told_with_its_last_words(programs: Programs) -> None:
    programs.start("good", SLEEP)
    programs.check()
    programs.start("bad", [sys.executable, "-c", "raise SystemExit('no etcd')"])

    def told() -> str:
        try:
            programs.check()
        except SiteError as error:
            return str(error)
        return ""

    until(told, "it is told")
    assert told().startswith("bad ended with 1")
    assert "no etcd" in told()


def test_one_that_is_killed_may_be_started_again(programs: Programs) -> None:
    first = programs.start("it", SLEEP)
    programs.kill("it")
    programs.check()
    assert programs.start("it", SLEEP) != first
    assert set(programs.peaks()) == set(programs.seconds()) == {"it"}


def test_they_have_a_group_of_their_own_and_end_with_us(programs: Programs) -> None:
    pid = programs.start("it", SLEEP)
    until(lambda: os.getpgid(pid) == pid, "it has a group of its own")
    programs.end()
    assert not Path(f"/proc/{pid}").exists()
