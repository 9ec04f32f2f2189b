"""What bounds a look, and how looks of one worker stay apart."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
import yaml

from atoll.settings import get_settings
from atoll_worker import tasks
from atoll_worker.app import app
from atoll_worker.reconcile.runner import holder

STUCK = """
import time
from atoll_worker.tasks import ended_after

with ended_after(0.2, {}):
    time.sleep(60)
"""


@pytest.fixture
def silent_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An API server that takes connections and never says a word, as the host of this process."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cluster = {"server": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "t",
            "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t"}}],
            "clusters": [{"name": "t", "cluster": cluster}], "users": [{"name": "t", "user": {}}],
        }))  # fmt: skip
        monkeypatch.setenv("ATOLL_KUBECONFIG", str(kubeconfig))
        get_settings.cache_clear()
        yield
    get_settings.cache_clear()


@pytest.mark.usefixtures("silent_host")
def test_a_look_that_takes_too_long_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "SOFT_LIMIT_SECONDS", 0.2)
    assert tasks.reconcile("VirtualCluster", "slow", 1) == "timeout"


def test_a_look_that_cannot_be_cancelled_ends_its_worker() -> None:
    done = subprocess.run(
        [sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == os.EX_SOFTWARE
    assert "look.stuck" in done.stderr + done.stdout


def test_looks_of_one_worker_are_writers_of_their_own() -> None:
    assert app.conf.worker_pool == "threads"
    both = Barrier(2)

    def met() -> str:
        both.wait(30)
        return holder()

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.submit(met), pool.submit(met)
    assert first.result() != second.result()
