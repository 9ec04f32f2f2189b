"""Detached processes on this machine: what they take with them from whoever starts them."""

import fcntl
import os
from pathlib import Path

from atoll.hosts.detached import Processes


def test_another_path_of_the_caller_starts_nothing_anew(tmp_path: Path) -> None:
    processes = Processes(tmp_path)

    def start(**env: str) -> int:
        return processes.start("sleeper", ["/bin/sleep", "60"], tmp_path / "log", env).pid

    try:
        first = start(PATH="/bin", ATOLL_LOG_LEVEL="INFO")
        assert start(PATH="/opt/bin:/bin", ATOLL_LOG_LEVEL="INFO") == first
        assert start(PATH="/bin", ATOLL_LOG_LEVEL="DEBUG") != first
    finally:
        processes.stop("sleeper")


def test_a_lock_of_the_caller_is_not_kept_by_what_it_starts(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    held = os.open(lock, os.O_CREAT | os.O_RDWR)
    os.set_inheritable(held, True)  # as `flock lock atoll up` does
    fcntl.flock(held, fcntl.LOCK_EX)
    processes = Processes(tmp_path)
    record = processes.start("sleeper", ["/bin/sleep", "60"], tmp_path / "log")
    try:
        assert processes.find("sleeper") == record
        os.close(held)
        with lock.open() as other:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        processes.stop("sleeper")
