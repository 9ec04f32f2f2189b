"""The installed `atoll` command against the real API, over a real API server."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders.api_process import TOKEN, Running, give_node, profile, start_api, stop

ATOLL = Path(sys.executable).with_name("atoll")


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, api_server: Path) -> Iterator[Running]:
    give_node(api_server)
    # No worker and no queue: what is asked for here ends where the API has accepted it.
    found = start_api(tmp_path_factory.mktemp("api"), api_server, "redis://127.0.0.1:9/0")
    with found.client() as client:
        for name in ("default", "previous"):
            client.post("/v1/profiles", json=profile(name))
    yield found
    assert stop(found) == 0


@pytest.fixture
def cli(running: Running, tmp_path: Path) -> Run:
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("ATOLL_")},
        "ATOLL_API_URL": running.url,
        "ATOLL_TOKEN": TOKEN,
        "XDG_CONFIG_HOME": str(tmp_path),
    }

    def run(*arguments: str, stdin: str = "", **extra: str) -> Ended:
        done = subprocess.run(
            [str(ATOLL), *arguments], env=environment | extra, input=stdin, capture_output=True,
            text=True, timeout=60, check=False,
        )  # fmt: skip
        return Ended(done.returncode, done.stdout, done.stderr)

    return run
