"""Whose work a line of the worker's log is about, as it is written."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
import yaml
from structlog.testing import capture_logs

from atoll.cluster.client import Cluster
from atoll.cluster.kinds import VIRTUAL_CLUSTER
from atoll.settings import get_settings
from atoll_worker import tasks
from builders.lone_virtual_cluster import lone, system_of

NAME = "told-of"
LOOK = """
import asyncio, sys
import structlog
from atoll.cluster.client import Cluster
from atoll.settings import Settings
from atoll.telemetry.logs import configure
from atoll_worker.adapters.helm import HelmReleases
from atoll_worker.adapters.redis_store import RedisStores
from atoll_worker.reconcile.outcome import Done
from atoll_worker.reconcile.runner import Runner
from atoll_worker.reconcile.step import Step
from atoll_worker.reconcile.steps import all_steps

class Chatty(Step):
    name, title, condition = "chatty", "Say something", "ChattyReady"

    async def observe(self, scope):
        structlog.get_logger("some.adapter").info("said")

    def plan(self, scope, seen):
        return []

    def judge(self, scope, seen):
        return Done()

async def look(kubeconfig, name, namespace):
    configure("worker")
    steps = [*all_steps(), Chatty()]
    helm = HelmReleases("helm", None)
    async with Cluster.from_file(kubeconfig) as host:
        settings = Settings(namespace=namespace)
        return await Runner(host, settings, helm, RedisStores(), steps).look(name)

print(asyncio.run(look(*sys.argv[1:])))
"""
STORED = {
    "apiVersion": "atoll.dev/v1alpha1", "kind": "VirtualCluster",
    "metadata": {"name": "slow", "uid": "u-1", "generation": 4, "resourceVersion": "9"},
    "spec": {"team": "blue"},
}  # fmt: skip


@pytest.fixture
async def host(api_server: Path) -> AsyncIterator[Cluster]:
    async with lone(api_server, NAME, cpu="1") as cluster:
        yield cluster


async def test_lines_of_a_look_say_team_virtual_cluster_operation_and_step(
    host: Cluster, api_server: Path
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(api_server), NAME, system_of(NAME)],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.stdout == "failed\n", done.stderr  # there is no such team
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    meta = (await host.get(VIRTUAL_CLUSTER, NAME))["metadata"]
    whose = {
        "process": "worker", "team": "nobody", "virtual_cluster": NAME,
        "operation": f"{meta['uid']}.{meta['generation']}",
    }  # fmt: skip
    assert [{key: line.get(key) for key in whose} for line in lines] == [whose] * len(lines)
    assert {line["event"]: line.get("step") for line in lines} == {
        "said": "chatty",
        "look.done": None,  # of the look as a whole
    }


@contextmanager
def half_silent(tmp_path: Path) -> Iterator[Path]:
    """The kubeconfig of an API server that gives the virtual cluster and then says nothing any more."""
    over = Event()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.endswith("/virtualclusters/slow"):
                over.wait(100)
                return
            body = json.dumps(STORED).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Nothing on the screen."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "t",
            "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t"}}],
            "clusters": [{"name": "t", "cluster": {
                "server": f"http://127.0.0.1:{server.server_address[1]}"}}],
            "users": [{"name": "t", "user": {}}],
        }))  # fmt: skip
        try:
            yield kubeconfig
        finally:
            over.set()
            server.shutdown()
            thread.join(20)


def test_a_look_that_is_cut_short_says_whose_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "SOFT_LIMIT_SECONDS", 3.0)
    with half_silent(tmp_path) as kubeconfig:
        monkeypatch.setenv("ATOLL_KUBECONFIG", str(kubeconfig))
        get_settings.cache_clear()
        with capture_logs() as lines:
            assert tasks.reconcile("VirtualCluster", "slow", 4) == "timeout"
    get_settings.cache_clear()
    (told,) = [line for line in lines if line["event"] == "look.timeout"]
    whose = {"team": "blue", "virtual_cluster": "slow", "operation": "u-1.4"}
    assert {key: told[key] for key in whose} == whose


def test_a_look_that_is_stuck_says_whose_it_was() -> None:
    script = """
import time
from atoll.telemetry.logs import configure
from atoll_worker.tasks import ended_after

configure("worker")
about = {"virtual_cluster": "slow"}
with ended_after(0.2, about):
    about |= {"team": "blue", "operation": "u-1.4"}
    time.sleep(60)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=50, check=False
    )
    told = json.loads(done.stderr)
    assert told["event"] == "look.stuck"
    assert (told["team"], told["virtual_cluster"], told["operation"]) == ("blue", "slow", "u-1.4")
