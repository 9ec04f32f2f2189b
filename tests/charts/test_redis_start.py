"""The rendered start command, run as it is with a real redis-server; only its folders are moved."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from charts.rendering import Rendered, render

PASSWORD = "a-Password_with-33-characters-in-it"  # token_urlsafe's alphabet


@dataclass
class Running:
    """One Redis started by a chart's command."""

    pid: int
    port: int
    run: Path

    def ask(self, *words: str, password: str = PASSWORD) -> str:
        answer = subprocess.run(
            ["redis-cli", "-p", str(self.port), *words],
            env={**os.environ, "REDISCLI_AUTH": password},
            check=False, capture_output=True, text=True, timeout=10,
        )  # fmt: skip
        return answer.stdout.strip()


def start(rendered: Rendered, name: str, folder: Path) -> Iterator[Running]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for part in ("etc", "secret", "run", "data"):
        (folder / part).mkdir(exist_ok=True)
    (folder / "secret" / "password").write_text(PASSWORD)
    moved = {
        "/etc/redis-secret": "secret",
        "/etc/redis": "etc",
        "/run/redis": "run",
        "/data": "data",
    }

    def here(text: str) -> str:
        for path, part in moved.items():
            text = text.replace(path, str(folder / part))
        return text.replace("port 6379", f"port {port}").replace("bind * -::*", "bind 127.0.0.1")

    for file, text in rendered.one("ConfigMap", name)["data"].items():
        (folder / "etc" / file).write_text(here(text))
    (container,) = rendered.one("StatefulSet", name)["spec"]["template"]["spec"]["containers"]
    log = folder / "redis.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [here(word) for word in container["command"]],
            env={"PATH": os.environ["PATH"], "REDISCLI_AUTH": PASSWORD},
            stdout=out,
            stderr=out,
        )
    try:
        running = Running(process.pid, port, folder / "run")
        deadline = time.monotonic() + 30
        while (said := running.ask("ping")) != "PONG":
            if process.poll() is not None or time.monotonic() > deadline:
                pytest.fail(f"no PONG but {said!r}: {log.read_text()[-2000:]}")
            time.sleep(0.05)
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.fixture
def tenant_redis(tmp_path: Path) -> Iterator[Running]:
    yield from start(render("tenant", "defaults"), "redis", tmp_path)


def test_it_asks_for_the_password_and_shows_it_nowhere(tenant_redis: Running) -> None:
    assert tenant_redis.ask("ping") == "PONG"
    assert "NOAUTH" in tenant_redis.ask("ping", password="")
    assert PASSWORD not in Path(f"/proc/{tenant_redis.pid}/cmdline").read_text()
    written = tenant_redis.run / "redis.conf"
    assert PASSWORD in written.read_text()
    assert written.stat().st_mode & 0o077 == 0


def test_it_keeps_what_it_is_told_and_never_evicts(tenant_redis: Running) -> None:
    told = dict(
        zip(*[iter(tenant_redis.ask("config", "get", "[ams]*").splitlines())] * 2, strict=False)
    )
    assert told["appendonly"] == "yes"
    assert told["appendfsync"] == "everysec"
    assert told["save"] == "60 1000"
    assert told["maxmemory"] == "134217728"
    assert told["maxmemory-policy"] == "noeviction"


def test_a_restart_loses_nothing(tmp_path: Path) -> None:
    rendered = render("tenant", "defaults")
    for first in start(rendered, "redis", tmp_path):
        assert first.ask("set", "RAY@KEY", "kept") == "OK"
    for second in start(rendered, "redis", tmp_path):
        assert second.ask("get", "RAY@KEY") == "kept"


def test_the_broker_starts_and_writes_nothing_to_disk(tmp_path: Path) -> None:
    for running in start(render("atoll", "kind"), "atoll-broker", tmp_path):
        assert running.ask("set", "hint", "1") == "OK"
        assert running.ask("config", "get", "appendonly").split() == ["appendonly", "no"]
        assert running.ask("config", "get", "maxmemory").split() == ["maxmemory", "67108864"]
        assert "NOAUTH" in running.ask("ping", password="")
    assert [p.name for p in (tmp_path / "run").iterdir()] == ["redis.conf"]
