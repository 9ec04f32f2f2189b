"""The keeper of a local platform: what is dead comes back, and not ever faster than it dies."""

import json
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from atoll.hosts.detached import Processes
from atoll.hosts.keeper import Keeper, keeper_unit, read_plan, write_plan
from atoll.hosts.processes import Platform, Unit

SLEEPER = Unit("sleeper", ["/bin/sleep", "60"], {"BROKER": "redis://:hidden@host"})
OTHER = Unit("other", ["/bin/sleep", "61"], {})


class Clock:
    """Seconds that pass when the test says so."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    found = Platform(tmp_path / "lab")
    yield found
    found.stop()


def pid_of(platform: Platform, name: str) -> int:
    record = Processes(platform.root).find(name)
    assert record
    return record.pid


def kill(platform: Platform, name: str) -> None:
    os.kill(pid_of(platform, name), signal.SIGKILL)
    while Processes(platform.root).find(name):
        pass


def started(platform: Platform, *units: Unit) -> None:
    write_plan(platform.root, units)
    platform.start(units)


def test_the_dead_one_comes_back_as_it_was_and_the_others_stay(platform: Platform) -> None:
    told: list[str] = []
    started(platform, SLEEPER, OTHER)
    before = {name: pid_of(platform, name) for name in ("sleeper", "other")}
    keeper = Keeper(platform, tell=told.append)
    assert keeper.look() == []
    kill(platform, "sleeper")
    assert keeper.look() == ["sleeper"]
    assert pid_of(platform, "other") == before["other"]
    assert platform.start([SLEEPER]) == []  # `up` takes it for its own
    raw = Path(f"/proc/{pid_of(platform, 'sleeper')}/environ").read_text().split("\0")
    assert "BROKER=redis://:hidden@host" in raw
    line = json.loads(told[0])
    assert (line["event"], line["unit"]) == ("unit.restarted", "sleeper")
    assert line["pid"] == pid_of(platform, "sleeper")
    assert "hidden" not in "".join(told)


def test_one_that_dies_at_once_waits_longer_each_time(platform: Platform) -> None:
    clock, told = Clock(), list[str]()
    started(platform, SLEEPER)
    keeper = Keeper(platform, clock, told.append)
    pauses = []
    for _ in range(7):
        kill(platform, "sleeper")
        died = clock.now
        while not keeper.look():
            clock.now += 0.5
        pauses.append(clock.now - died)
    assert pauses == [0, 1, 2, 4, 8, 16, 30]
    assert [json.loads(line)["paused"] for line in told] == pauses
    clock.now += 5  # it has lived: its next death is a first one
    kill(platform, "sleeper")
    assert keeper.look() == ["sleeper"]


def test_a_program_that_is_gone_does_not_stop_the_others_from_being_kept(
    platform: Platform,
) -> None:
    told: list[str] = []
    gone = Unit("gone", [str(platform.root / "nothing")], {})
    write_plan(platform.root, [gone, OTHER])
    assert Keeper(platform, tell=told.append).look() == ["other"]
    assert json.loads(told[0])["event"] == "unit.not_started"


def test_it_waits_for_who_holds_the_platform_and_then_goes_by_the_new_plan(
    platform: Platform,
) -> None:
    started(platform, SLEEPER)
    kill(platform, "sleeper")
    changed = Unit("sleeper", ["/bin/sleep", "62"], {})
    with platform.locked():
        platform.start([keeper_unit(platform.root)])
        keeper = pid_of(platform, "keeper")
        while not waits_for_a_lock(keeper):
            assert Processes(platform.root).find("keeper")
        write_plan(platform.root, [changed])
        platform.start([changed])
        first = pid_of(platform, "sleeper")
    log = platform.logs / "keeper.log"
    kill(platform, "sleeper")
    while not (lines := log.read_text().splitlines()):
        assert Processes(platform.root).find("keeper")
    assert len(lines) == 1, "what `up` has started meanwhile was left alone"
    pid = pid_of(platform, "sleeper")
    assert pid != first
    assert Path(f"/proc/{pid}/cmdline").read_bytes() == b"/bin/sleep\x0062\0"


def waits_for_a_lock(pid: int) -> bool:
    """`/proc/locks` marks those that wait with an arrow."""
    lines = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
    return any(words[1] == "->" and str(pid) in words for words in lines)


def test_the_plan_is_private_and_what_was_written_is_read(platform: Platform) -> None:
    platform.root.mkdir()
    assert read_plan(platform.root) == []
    write_plan(platform.root, [SLEEPER, OTHER])
    assert read_plan(platform.root) == [SLEEPER, OTHER]
    (file,) = platform.root.glob("keeper*")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_process_keeps_until_stop_ends_it_first_and_brings_nothing_back(
    platform: Platform,
) -> None:
    started(platform, SLEEPER)
    platform.start([keeper_unit(platform.root)])
    before = pid_of(platform, "sleeper")
    kill(platform, "sleeper")
    log = platform.logs / "keeper.log"
    while "unit.restarted" not in log.read_text():
        assert Processes(platform.root).find("keeper"), log.read_text()
    assert pid_of(platform, "sleeper") != before
    assert platform.stop() == ["keeper", "sleeper"]
    assert platform.states() == []
    assert Processes(platform.root).sweep() == 0


def test_it_imports_the_standard_library_alone() -> None:
    code = (
        "import sys; import atoll.hosts.keeper\n"
        "print(*sorted({n.partition('.')[0] for n in sys.modules} - set(sys.stdlib_module_names)))"
    )
    before = "import sys; print(*sorted({n.partition('.')[0] for n in sys.modules}))"
    said, site = (
        subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
        for text in (code, before)
    )
    assert set(said.stdout.split()) - set(site.stdout.split()) == {"atoll"}


def test_wrong_arguments_are_told() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "atoll.hosts.keeper"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "FOLDER" in ended.stderr
