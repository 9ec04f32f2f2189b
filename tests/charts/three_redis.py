"""Three Redis and three Sentinels by the chart's own scripts, each on a loopback address of its own."""

import os
import random
import select
import shutil
import signal
import socket
import subprocess
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from atoll_worker.reconcile.ports import Instance
from charts.rendering import Rendered
from waiting import until

PASSWORD = "a-Password_with-33-characters-in-it"
_NUMBERS = (0, 1, 2)
PODS = [f"{kind}-{n}" for kind in ("redis", "sentinel") for n in _NUMBERS]


def _free_port(addresses: list[str]) -> int:
    """A port that is free on all of the addresses."""
    while True:
        port = random.randrange(20000, 32000)
        with suppress(OSError):
            held = [socket.create_server((address, port)) for address in addresses]
            for one in held:
                one.close()
            return port


@dataclass
class Three:
    """The pods, by kind and number; a pod's folder of data is its volume."""

    rendered: Rendered
    folder: Path
    net: str = field(default_factory=lambda: f"127.{random.randrange(1, 250)}.{os.getpid() % 250}")
    secret: dict[str, str] = field(default_factory=lambda: {"password": PASSWORD})
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        addresses = [f"{self.net}.{last}" for last in (10, 11, 12, 20, 21, 22, 99)]
        self.port, self.sentinel_port = _free_port(addresses), _free_port(addresses)
        self._service = socket.create_server((self.service, self.port))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def service(self) -> str:
        """The address of the Service `redis`: it leads to a Sentinel that is ready, or refuses."""
        return f"{self.net}.99"

    def address(self, pod: str) -> str:
        kind, _, number = pod.rpartition("-")
        return f"{self.net}.{'1' if kind == 'redis' else '2'}{number}"

    def _here(self, pod: str, text: str) -> str:
        """A file of the chart with this machine's folders, addresses and ports."""
        moved = {
            "/etc/redis-users": "users",
            "/etc/redis-secret": "secret",
            "/etc/redis": "etc",
            "/run/redis": "run",
            "/data": "data",
        }
        for path, part in moved.items():
            text = text.replace(path, str(self.folder / pod / part))
        text = text.replace("26379", "SENTINEL-PORT").replace("6379", str(self.port))
        text = text.replace("SENTINEL-PORT", str(self.sentinel_port))
        return text.replace("bind * -::*", f"bind {self.address(pod)}")

    def environment(self, pod: str) -> dict[str, str]:
        found = {f"REDIS_{n}_SERVICE_HOST": self.address(f"redis-{n}") for n in _NUMBERS}
        return found | {
            "PATH": os.environ["PATH"], "POD_NAME": pod,
            "REDIS_SERVICE_HOST": self.service, "POD_IP": self.address(pod),
        }  # fmt: skip

    def start(self, pod: str) -> None:
        """Start a pod with the volume it had."""
        root = self.folder / pod
        for part in ("etc", "users", "run", "data"):
            (root / part).mkdir(parents=True, exist_ok=True)
        self.mount(pod, self.secret)
        for name, text in self.rendered.one("ConfigMap", "redis")["data"].items():
            (root / "etc" / name).write_text(self._here(pod, text))
        script = "redis-start.sh" if pod.startswith("redis-") else "sentinel-start.sh"
        # In a pod probes ask 127.0.0.1; here each pod has another address.
        with (root / "log").open("ab") as log:
            self.running[pod] = subprocess.Popen(
                ["sh", str(root / "etc" / script)], env=self.environment(pod), stdout=log, stderr=log,
            )  # fmt: skip

    def mount(self, pod: str, secret: dict[str, str]) -> None:
        """Let a pod see this state of the Secret with the administrator's password."""
        folder = self.folder / pod / "secret"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for key, value in secret.items():
            (folder / key).write_text(value)

    def kill(self, pod: str) -> None:
        """kill -9; what is in memory alone is gone with it."""
        process = self.running.pop(pod)
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        if pod.startswith("redis-"):
            shutil.rmtree(self.folder / pod / "run")

    def lose_volume(self, pod: str) -> None:
        shutil.rmtree(self.folder / pod / "data")

    def stop(self) -> None:
        self._service.close()
        for pod in list(self.running):
            self.kill(pod)

    def ask(self, pod: str, *words: str) -> str:
        port = self.port if pod.startswith("redis-") else self.sentinel_port
        answer = subprocess.run(
            ["redis-cli", "-h", self.address(pod), "-p", str(port), *words],
            env={**os.environ, "REDISCLI_AUTH": self.secret["password"]},
            check=False, capture_output=True, text=True, timeout=10,
        )  # fmt: skip
        return answer.stdout.strip()

    def probe(self, pod: str) -> bool:
        """The chart's readiness probe of a pod."""
        if pod not in self.running:
            return False
        name = "redis-ready.sh" if pod.startswith("redis-") else "sentinel-ready.sh"
        text = (self.folder / pod / "etc" / name).read_text()
        local = text.replace("redis-cli INFO", f"redis-cli -p {self.port} INFO")
        local = local.replace("redis-cli -p", f"redis-cli -h {self.address(pod)} -p", 1)
        done = subprocess.run(
            ["sh", "-c", local], env=self.environment(pod), check=False, capture_output=True,
            timeout=10,
        )  # fmt: skip
        return done.returncode == 0

    def ready(self) -> list[str]:
        return [pod for pod in PODS if self.probe(pod)]

    def primary(self) -> str:
        """The pod that the ready Sentinels name, as one who asks the Service learns it."""
        answer = subprocess.run(
            ["redis-cli", "-h", self.service, "-p", str(self.port), "SENTINEL",
             "get-master-addr-by-name", "gcs"],
            env={**os.environ, "REDISCLI_AUTH": self.secret["password"]},
            check=False, capture_output=True, text=True, timeout=10,
        ).stdout.split()  # fmt: skip
        return f"redis-{answer[0][-1]}" if answer else ""

    def instances(self) -> list[Instance]:
        """How the worker reaches them."""
        return [
            Instance(pod, self.address(pod), self.sentinel_port, sentinel=True)
            if pod.startswith("sentinel")
            else Instance(pod, self.address(pod), self.port)
            for pod in PODS
        ]

    def all_ready(self, seconds: float = 60) -> None:
        """All six are ready, and every Sentinel knows both replicas and both others.

        A Sentinel is ready with one of each, and hears of others by and by (it asks every 10 s). Who fails
        before that is a third failure at once: a replica that no Sentinel knows is led to no new primary.
        """
        until(lambda: len(self.ready()) == 6, f"all are ready, not {self.ready()}", seconds)
        until(self._acquainted, "every Sentinel knows all others", seconds)

    def _acquainted(self) -> bool:
        for number in _NUMBERS:
            told = self.ask(f"sentinel-{number}", "sentinel", "master", "gcs").split()
            known = dict(zip(told[::2], told[1::2], strict=False))
            if (known.get("num-slaves"), known.get("num-other-sentinels")) != ("2", "2"):
                return False
        return True

    def _serve(self) -> None:
        """Leads each connection to one ready Sentinel; without one it is closed at once."""
        while True:
            try:
                near, _ = self._service.accept()
            except OSError:
                return
            ready = [f"sentinel-{n}" for n in _NUMBERS if self.probe(f"sentinel-{n}")]
            if not ready:
                near.close()
                continue
            far = socket.create_connection((self.address(ready[0]), self.sentinel_port))
            threading.Thread(target=_join, args=(near, far), daemon=True).start()


def _join(near: socket.socket, far: socket.socket) -> None:
    """Carry both ways until either side ends."""
    with near, far, suppress(OSError):
        while True:
            for one in select.select([near, far], [], [])[0]:
                data = one.recv(65536)
                if not data:
                    return
                (far if one is near else near).sendall(data)
