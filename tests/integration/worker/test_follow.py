"""The follower as a process: both loops send hints, and it ends when it is told to."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from atoll.cluster.client import Cluster
from atoll.cluster.kinds import VIRTUAL_CLUSTER


@pytest.fixture
def follower(api_server: Path, redis_url: str, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    environment = {
        **os.environ,
        "ATOLL_KUBECONFIG": str(api_server),
        "ATOLL_BROKER_URL": redis_url,
        "ATOLL_RUNTIME_DIR": str(tmp_path),
        "ATOLL_METRICS_PORT": "0",
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "atoll_worker.follow"], env=environment, stdout=log, stderr=log
        )
    yield process
    process.kill()
    process.wait(20)


async def test_both_loops_hint_and_a_signal_ends_them(
    follower: subprocess.Popen[bytes], api_server: Path, tmp_path: Path
) -> None:
    wish = {
        "apiVersion": "atoll.dev/v1alpha1",
        "kind": "VirtualCluster",
        "metadata": {"name": "followed"},
        "spec": {"team": "nobody"},
    }
    async with Cluster.from_file(api_server) as cluster:
        await cluster.create(wish)
        try:
            deadline = asyncio.get_running_loop().time() + 60
            while not {"watch", "sweep"} <= sources(tmp_path):
                assert follower.poll() is None, (tmp_path / "log").read_text()
                assert asyncio.get_running_loop().time() < deadline, (tmp_path / "log").read_text()
                await asyncio.sleep(0.1)
        finally:
            await cluster.delete(VIRTUAL_CLUSTER, "followed")
    follower.send_signal(signal.SIGTERM)
    assert follower.wait(20) == 0


def sources(folder: Path) -> set[str]:
    """Which loops have sent hints, as the process' own metrics say."""
    told = folder / "follower.json"
    if not told.exists():
        return set()
    page = httpx2.get(f"{json.loads(told.read_text())['url']}/metrics", timeout=10).text
    lines = [line for line in page.splitlines() if line.startswith("atoll_hints_total{")]
    return {line.split('"')[1] for line in lines if float(line.rpartition(" ")[2]) > 0}
