"""`atoll up` on a sandbox of its own, as the README says it: from nothing to a checked word count; then
repaired, told apart from a second platform, and gone without a trace.
"""

import json
import os
import re
import shutil
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

from atoll.cli.local.place import SIMULATED
from atoll.hosts.detached import start_time
from atoll.hosts.toolchain import Toolchain
from builders.up_screen import Screen, demo_commands
from waiting import until

ATOLL = Path(sys.executable).with_name("atoll")
PARTS = {"redis", "gateway", "api", "worker", "follower", "keeper"}
BACK_SECONDS = 30.0
ROOT = Path(__file__).parents[3]

pytestmark = pytest.mark.sandbox


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("up")
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ATOLL_") or k == "ATOLL_CACHE"}
    return kept | {"ATOLL_HOME": str(folder / "home"), "XDG_CONFIG_HOME": str(folder / "config")}


def atoll(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ATOLL), *arguments], env=environment, capture_output=True, text=True, timeout=580,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def up(environment: dict[str, str], *options: str, name: str = "lab") -> tuple[dict[str, str], str]:
    arguments = ("up", "--host", "sandbox", "--name", name, "-o", "json")
    ended = atoll(environment, *arguments, *options)
    assert ended.returncode == 0, ended.stderr
    answer: dict[str, str] = json.loads(ended.stdout)
    return answer, ended.stderr


def pids(environment: dict[str, str], name: str = "lab") -> dict[str, int]:
    parts = platforms(environment)[name]["parts"]
    return {p["name"]: int(p["detail"].split()[1]) for p in parts if p["detail"].startswith("pid")}


def platforms(environment: dict[str, str]) -> dict[str, dict[str, Any]]:
    """What `atoll status` says of each platform."""
    found: dict[str, Any] = json.loads(atoll(environment, "status", "-o", "json").stdout)
    return {item["name"]: item for item in found["items"]}


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


def words_counted(told: str) -> int:
    """How many words the Ray job has found, as the screen says it."""
    assert "The same count in plain Python" in told, told
    found = re.search(r"(\d+) words, \d+ different, in (\d+) files", told)
    assert found, told
    assert int(found[2]) == len(documents())
    return int(found[1])


def documents() -> list[Path]:
    return [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]


def test_the_demonstration_counts_right_and_is_safe_to_run_again(
    started: Started, environment: dict[str, str]
) -> None:
    words = r"[a-z0-9]+(?:'[a-z]+)?"
    right = sum(len(re.findall(words, text.read_text().lower())) for text in documents())
    assert words_counted(started[1]) == right
    assert "Virtual cluster demo on" in started[1]
    assert "Start the virtual control plane" in Screen.read("", started[1]).steps
    before = demo(environment)
    assert before["status"]["phase"] == "Ready"

    ended = atoll(environment, "up", "--host", "sandbox", "--name", "lab")  # as a person does

    assert ended.returncode == 0, ended.stderr
    told = ended.stderr
    assert_told(Screen.read(ended.stdout, told), started[0], environment)
    assert words_counted(told) == right
    assert "all running" in told
    begin, _, end = told.partition("\nAll of it took ")
    assert SIMULATED in begin
    assert SIMULATED in end
    assert "Virtual cluster demo on" not in told  # it was there
    after = demo(environment)
    assert (after["uid"], after["generation"]) == (before["uid"], before["generation"])


def assert_told(screen: Screen, answer: dict[str, str], environment: dict[str, str]) -> None:
    """Addresses that answer, the token that opens them, times, and commands that are there."""
    said = {**screen.closing, "api": screen.closing["api"].removesuffix("/docs")}
    assert said == {key: answer[key] for key in ("portal", "api", "token", "kubeconfig", "logs")}
    screen.opens()
    assert {"Queue (Redis)", "Virtual cluster demo", "Ray cluster demo"} <= set(screen.steps)
    path = f'export PATH="{ATOLL.parent}:$PATH"'
    lacking = shutil.which("atoll", path=environment["PATH"]) is None
    assert screen.next == [*([path] if lacking else []), *demo_commands("lab")]


def demo(environment: dict[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(atoll(environment, "vc", "get", "demo", "-o", "json").stdout)
    return found


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
    up(environment, "--no-demo")

    after = json.loads((home / "runtime" / "gateway.json").read_text())
    assert (after["tls_url"], after["pid"] != before["pid"]) == (before["tls_url"], True)
    assert {file.name: file.read_bytes() for file in tls.iterdir()} == files


def test_a_second_run_repairs_and_keeps(started: Started, environment: dict[str, str]) -> None:
    # Without the keeper nobody but `up` brings back what is dead, the keeper itself as well.
    before = end(environment, "keeper", "api", "follower")
    assert set(before) >= PARTS
    assert atoll(environment, "status").returncode == 1

    answer, told = up(environment, "--no-demo")

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
    answer, said = up(environment, "--no-demo")
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


def test_two_platforms_have_nothing_in_common(
    started: Started, environment: dict[str, str]
) -> None:
    mine, before = started[0], pids(environment)
    try:
        sizes = "1c2g=2,2c4g=1"
        other, _ = up(environment, "--nodes", sizes, "--no-demo", name="spare")
        assert nodes(other) == {
            "node-1c2g-1": ("1c2g", "1", "2Gi"),
            "node-1c2g-2": ("1c2g", "1", "2Gi"),
            "node-2c4g-1": ("2c4g", "2", "4Gi"),
        }
        assert [key for key in mine if mine[key] == other[key]] == ["host"]
        found = platforms(environment)
        assert set(found) == {"lab", "spare"}
        assert {found[name]["api"] for name in found} == {mine["api"], other["api"]}
        assert [p for item in found.values() for p in item["parts"] if p["state"] == "dead"] == []
        assert not set(before.values()) & set(pids(environment, "spare").values())
        here, there = (names(environment, name) for name in ("local-lab", "local-spare"))
        assert (here, there) == (["demo"], [])
        stranger = {"Authorization": f"Bearer {mine['token']}"}
        asked = httpx2.get(f"{other['api']}/v1/teams", headers=stranger, trust_env=False)
        assert asked.status_code == 401
    finally:
        ended = atoll(environment, "down", "--name", "spare")
    assert ended.returncode == 0, ended.stderr
    assert set(platforms(environment)) == {"lab"}
    assert pids(environment) == before
    assert not (Path(environment["ATOLL_HOME"]) / "spare").exists()
    assert names(environment, "local-lab") == ["demo"]
    assert atoll(environment, "whoami", "-o", "name").stdout == "admin\n"  # the context in use


def nodes(answer: dict[str, str]) -> dict[str, tuple[str, str, str]]:
    """Every node of the host that an `up` has told of: its template, CPUs and memory."""
    kubectl = [str(Toolchain().path("kubectl")), "--kubeconfig", answer["kubeconfig"]]
    told = subprocess.run(
        [*kubectl, "get", "nodes", "-o", "json"], capture_output=True, text=True, timeout=60,
        check=True,
    )  # fmt: skip
    return {
        node["metadata"]["name"]: (
            node["metadata"]["labels"]["atoll.dev/node-template"],
            node["status"]["capacity"]["cpu"],
            node["status"]["capacity"]["memory"],
        )
        for node in json.loads(told.stdout)["items"]
    }


def names(environment: dict[str, str], context: str) -> list[str]:
    """The virtual clusters of the platform of a context."""
    return atoll(environment, "--context", context, "vc", "list", "-o", "name").stdout.split()


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
        told = (process / "cmdline").read_bytes() + (process / "environ").read_bytes()
        return text.encode() in told
    except OSError:
        return False
