"""The API as people run it: its own process over a real API server and a real Redis."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest
import yaml

from builders.api_process import Running, give_node, profile, start_api, stop


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = tmp_path_factory.mktemp("redis") / "redis.sock"
    log = path.with_name("redis.log")
    process = subprocess.Popen(
        [
            "redis-server",
            "--port",
            "0",
            "--unixsocket",
            str(path),
            "--save",
            "",
            "--dir",
            str(path.parent),
            "--logfile",
            str(log),
        ],
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 30
        while not path.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                said = log.read_text()[-2000:] if log.exists() else "it wrote no log"
                pytest.fail(f"Redis made no socket {path}: {said}")
            time.sleep(0.05)
        yield f"redis+socket://{path}"
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def running(
    tmp_path_factory: pytest.TempPathFactory, api_server: Path, broker: str
) -> Iterator[Running]:
    give_node(api_server)
    found = start_api(tmp_path_factory.mktemp("api"), api_server, broker)
    with found.client() as client:
        client.post("/v1/profiles", json=profile("default")).raise_for_status()
    yield found
    assert stop(found) == 0


@pytest.fixture
def api(running: Running) -> Iterator[httpx2.Client]:
    with running.client() as client:
        yield client


MakeTeam = Callable[..., str]


@pytest.fixture
def make_team(api: httpx2.Client, request: pytest.FixtureRequest) -> MakeTeam:
    """A team of the test's own, with these limits."""
    count = 0

    def make(**limits: str) -> str:
        nonlocal count
        count += 1
        name = f"t{abs(hash(request.node.name)) % 10**8}-{count}"
        quota = {resource: {"limit": limit} for resource, limit in limits.items()}
        body = {"name": name, "spec": {"quota": quota}}
        api.post("/v1/teams", json=body).raise_for_status()
        return name

    return make


@pytest.fixture
def kube(api_server: Path) -> Iterator[httpx2.Client]:
    """The API server itself, as somebody with kubectl has it."""
    config = yaml.safe_load(api_server.read_text())
    token = config["users"][0]["user"]["token"]
    with httpx2.Client(
        base_url=config["clusters"][0]["cluster"]["server"],
        verify=False,
        headers={"Authorization": f"Bearer {token}"},
        timeout=30,
    ) as client:
        yield client
