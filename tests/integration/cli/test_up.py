"""`atoll up` on a sandbox of its own: started, repaired, told apart, and gone without a trace."""

import json
import os
import signal
import ssl
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from atoll.hosts.detached import start_time
from waiting import until

ATOLL = Path(sys.executable).with_name("atoll")
PARTS = {"redis", "gateway", "api", "worker", "follower", "keeper"}
BACK_SECONDS = 30.0

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("up")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ATOLL_") or k == "ATOLL_CACHE"}
    return kept | {"ATOLL_HOME": str(folder / "home"), "XDG_CONFIG_HOME": str(folder / "config")}


def atoll(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ATOLL), *arguments], env=environment, capture_output=True, text=True, timeout=300,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def up(environment: dict[str, str]) -> tuple[dict[str, str], str]:
    arguments = ("up", "--host", "sandbox", "--nodes", "2c4g=1", "--no-demo", "--name", "lab")
    ended = atoll(environment, *arguments, "-o", "json")
    assert ended.returncode == 0, ended.stderr
    answer: dict[str, str] = json.loads(ended.stdout)
    return answer, ended.stderr


def pids(environment: dict[str, str]) -> dict[str, int]:
    found: dict[str, Any] = json.loads(atoll(environment, "status", "-o", "json").stdout)
    parts = [part for item in found["items"] for part in item["parts"]]
    return {p["name"]: int(p["detail"].split()[1]) for p in parts if p["detail"].startswith("pid")}


def end(environment: dict[str, str], *names: str) -> dict[str, int]:
    """kill -9 of these processes, at once; the pids of all from before."""
    before = pids(environment)
    for name in names:
        os.kill(before[name], signal.SIGKILL)
    return before


@pytest.fixture(scope="module")
def started(environment: dict[str, str]) -> Iterator[tuple[dict[str, str], str]]:
    yield up(environment)
    atoll(environment, "down", "--name", "lab")


Started = tuple[dict[str, str], str]


def test_the_answer(started: Started) -> None:
    answer, told = started
    assert set(answer) == {"api", "token", "kubeconfig", "portal", "logs", "host"}
    assert answer["host"] == "sandbox"
    assert "Simulated:" in told
    headers = {"Authorization": f"Bearer {answer['token']}"}
    profiles = httpx2.get(f"{answer['api']}/v1/profiles", headers=headers, trust_env=False).json()
    assert {p["name"] for p in profiles["items"]} == {"default", "previous"}
    until(
        lambda: httpx2.get(f"{answer['api']}/v1/health", trust_env=False).json()["status"] == "ok",
        "every part answers, a worker too",
    )
    assert stat.S_IMODE(Path(answer["kubeconfig"]).stat().st_mode) == 0o600


def test_no_secret_in_any_argument_or_log(started: Started, environment: dict[str, str]) -> None:
    answer, _ = started
    home = Path(environment["ATOLL_HOME"]) / "lab"
    secrets = [answer["token"], (home / "queue" / "password").read_text()]
    for pid in pids(environment).values():
        arguments = Path(f"/proc/{pid}/cmdline").read_text()
        assert not [s for s in secrets if s in arguments]
    for log in home.joinpath("logs").glob("*.log"):
        assert not [s for s in secrets if s in log.read_text(errors="replace")], log
    queue = home / "queue"
    plan = home / "keeper.json"
    for file in (home / "admin-token", queue / "password", queue / "redis.conf", plan):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_kubectl_has_a_way_in_with_tls_that_stays(
    started: Started, environment: dict[str, str]
) -> None:
    home = Path(environment["ATOLL_HOME"]) / "lab"
    before = json.loads((home / "runtime" / "gateway.json").read_text())
    tls = home / "tls"
    files = {file.name: file.read_bytes() for file in tls.iterdir()}
    trust = ssl.create_default_context(cafile=tls / "ca.crt")
    answer = httpx2.get(f"{before['tls_url']}/healthz", verify=trust, trust_env=False)
    assert answer.json() == {"status": "ok"}
    assert all(stat.S_IMODE(key.stat().st_mode) == 0o600 for key in tls.glob("*.key"))

    end(environment, "keeper", "gateway")
    up(environment)

    after = json.loads((home / "runtime" / "gateway.json").read_text())
    assert (after["tls_url"], after["pid"] != before["pid"]) == (before["tls_url"], True)
    assert {file.name: file.read_bytes() for file in tls.iterdir()} == files


def test_a_second_run_repairs_and_keeps(started: Started, environment: dict[str, str]) -> None:
    # Without the keeper nobody but `up` brings back what is dead, the keeper itself as well.
    before = end(environment, "keeper", "api", "follower")
    assert set(before) >= PARTS
    assert atoll(environment, "status").returncode == 1

    answer, told = up(environment)

    assert answer == started[0]
    assert "3 started" in told
    after = pids(environment)
    assert {n for n in PARTS if before[n] != after[n]} == {"api", "follower", "keeper"}
    assert atoll(environment, "status").returncode == 0


def test_what_is_killed_comes_back_by_itself(started: Started, environment: dict[str, str]) -> None:
    home = Path(environment["ATOLL_HOME"]) / "lab"
    before = end(environment, "worker", "follower", "api")
    deadline = time.monotonic() + BACK_SECONDS
    while not (after := pids(environment)).keys() >= PARTS or not answers(started[0]["api"]):
        assert time.monotonic() < deadline, (home / "logs" / "keeper.log").read_text()
        time.sleep(0.2)
    assert {n for n in PARTS if before[n] != after[n]} == {"worker", "follower", "api"}
    lines = [json.loads(li) for li in (home / "logs" / "keeper.log").read_text().splitlines()]
    told = {line["unit"]: line["pid"] for line in lines if line["event"] == "unit.restarted"}
    assert told == {n: after[n] for n in ("worker", "follower", "api")}
    assert atoll(environment, "status").returncode == 0

    # They are as `up` would start them: it has nothing to do.
    answer, said = up(environment)
    assert (answer, "all running" in said) == (started[0], True)
    assert pids(environment) == after


def answers(api: str) -> bool:
    try:
        return httpx2.get(f"{api}/v1/health", trust_env=False).is_success
    except httpx2.HTTPError:
        return False


def test_the_commands_find_it(started: Started, environment: dict[str, str]) -> None:
    assert atoll(environment, "whoami", "-o", "name").stdout == "admin\n"


def test_profiles_are_held_to_the_charts_of_the_host(started: Started) -> None:
    answer, _ = started
    with httpx2.Client(
        base_url=answer["api"],
        headers={"Authorization": f"Bearer {answer['token']}"},
        trust_env=False,
    ) as client:
        spec = client.get("/v1/profiles/default").raise_for_status().json()["spec"]
        spec["vcluster"]["chart"]["version"] = "0.77.0"
        refused = client.post("/v1/profiles", json={"name": "unknown", "spec": spec})
        assert refused.status_code == 422
        (problem,) = refused.json()["errors"]
        assert problem["pointer"] == "/spec/vcluster/chart/version"
        assert "it has 0.36.1; take one that is there" in problem["detail"]
        assert client.get("/v1/profiles/unknown").status_code == 404


def test_another_host_under_the_same_name(started: Started, environment: dict[str, str]) -> None:
    ended = atoll(environment, "up", "--host", "kind", "--name", "lab")
    assert ended.returncode == 2
    assert "atoll down --name lab" in ended.stderr


def test_down_leaves_nothing(started: Started, environment: dict[str, str]) -> None:
    running = pids(environment)
    ended = atoll(environment, "down", "--name", "lab")
    assert ended.returncode == 0, ended.stderr
    home = environment["ATOLL_HOME"]
    assert not (Path(home) / "lab").exists()
    assert not [name for name, pid in running.items() if start_time(pid)]
    assert not [pid for pid in Path("/proc").glob("[0-9]*") if _mentions(pid, home)]
    assert "lab" not in Path(environment["XDG_CONFIG_HOME"], "atoll", "config.yaml").read_text()
    assert atoll(environment, "down", "--name", "lab").returncode == 0


def _mentions(process: Path, text: str) -> bool:
    try:
        return text.encode() in (process / "cmdline").read_bytes()
    except OSError:
        return False
