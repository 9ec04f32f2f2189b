"""A Redis that somebody else runs, in a pod of the host: TLS only, an authority of its own, passwords."""

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from atoll.domain.gcs_store import password_hash
from atoll.hosts.sandbox.certificates import issue_serving
from e2e.kube import Kube, Object
from e2e.stage import Stage
from waiting import until

NAMESPACE = "their-redis"
PORT = 6380
USER = "atoll"
"""Who may do what the guide asks for; `default` is the administrator of whoever runs it."""
FILES = "/etc/their-redis"
CLI = f"redis-cli --tls --cacert {FILES}/ca.crt -p {PORT}"
_AS_ADMINISTRATOR = f'REDISCLI_AUTH=$(cat {FILES}/password) exec {CLI} "$@"'
_LABELS = {"app": "their-redis"}
_SET = f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets"
_CORE = f"/api/v1/namespaces/{NAMESPACE}"


def configuration(passwords: dict[str, str], files: str = FILES, folder: str = "/data") -> str:
    """redis.conf as the guide asks for it, with TLS alone; `passwords` of the two users."""
    lines = [
        "bind * -::*", "port 0", f"tls-port {PORT}", "tls-auth-clients no",
        f"tls-cert-file {files}/tls.crt", f"tls-key-file {files}/tls.key",
        f"tls-ca-cert-file {files}/ca.crt",
        f"dir {folder}", "appendonly yes", "maxmemory 128mb", "maxmemory-policy noeviction",
        *(f"user {name} on #{password_hash(it)} ~* &* +@all" for name, it in passwords.items()),
    ]  # fmt: skip
    return "\n".join([*lines, ""])


def service() -> Object:
    """Its address, which its certificate names."""
    ports = [{"name": "redis", "port": PORT}]
    return {"metadata": {"name": "redis"}, "spec": {"selector": _LABELS, "ports": ports}}


def workload(image: str) -> Object:
    """One pod. It forgets with its volume: nobody ends it here."""
    probe = ["sh", "-c", f"REDISCLI_AUTH=$(cat {FILES}/password) {CLI} ping | grep -q PONG"]
    container = {
        "name": "redis", "image": image, "imagePullPolicy": "IfNotPresent",
        "command": ["redis-server", f"{FILES}/redis.conf"],
        "ports": [{"name": "redis", "containerPort": PORT}],
        "readinessProbe": {"exec": {"command": probe}, "periodSeconds": 2, "timeoutSeconds": 5},
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "256Mi"}},
        "volumeMounts": [
            {"name": "files", "mountPath": FILES, "readOnly": True},
            {"name": "data", "mountPath": "/data"},
        ],
    }  # fmt: skip
    pod = {
        "containers": [container],
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True, "runAsUser": 999, "runAsGroup": 999, "fsGroup": 999,
        },
        "volumes": [
            {"name": "files", "secret": {"secretName": "redis", "defaultMode": 0o440}},
            {"name": "data", "emptyDir": {}},
        ],
    }  # fmt: skip
    return {
        "metadata": {"name": "redis"},
        "spec": {
            "replicas": 1, "serviceName": "redis", "selector": {"matchLabels": _LABELS},
            "template": {"metadata": {"labels": _LABELS}, "spec": pod},
        },
    }  # fmt: skip


@dataclass(frozen=True)
class TheirRedis:
    """Where it answers, whom to believe, and the password that its admin gave to the platform."""

    stage: Stage
    host: str
    authority: str
    password: str = field(repr=False)

    @property
    def address(self) -> str:
        return f"{self.host}:{PORT}"

    @property
    def networks(self) -> list[str]:
        """Its Service and its pod: plugins judge by the one or by the other."""
        pod = self.stage.host.get(f"{_CORE}/pods/redis-0") or {}
        return [f"{self.host}/32", f"{pod['status']['podIP']}/32"]

    def cli(self, *words: str) -> list[str]:
        """The lines of an answer to its administrator."""
        argv = ("--", "sh", "-c", _AS_ADMINISTRATOR, "redis-cli", *words)
        return self._exec(*argv)

    def as_user(self, name: str, password: str, *commands: str) -> list[str]:
        """The lines of the answers to a user's commands; the password is in no argument."""
        told = "\n".join([f"AUTH {name} {password}", *commands, ""])
        first, *lines = self._exec("-i", "--", *CLI.split(), stdin=told)
        assert first == "OK", first
        return lines

    def _exec(self, *argv: str, stdin: str | None = None) -> list[str]:
        stage = self.stage
        done = stage.run(
            "timeout", "60", stage.kubectl, "exec", "-n", NAMESPACE, "redis-0", "-c", "redis", *argv,
            stdin=stdin,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        # It says an empty line for an empty list, and after each error.
        return [line for line in done.stdout.splitlines() if line]

    def let_in(self, password: str) -> None:
        """As its admin gives the platform's user another password: the old one is over."""
        rules = ("resetpass", f"#{password_hash(password)}")
        assert self.cli("acl", "setuser", USER, *rules) == ["OK"]


@contextmanager
def their_redis(stage: Stage, folder: Path, image: str) -> Iterator[TheirRedis]:
    """It runs until the block ends, and is gone with all that is in it. Files are made in `folder`."""
    _remove(stage.host)
    try:
        yield _install(stage, folder, image)
    finally:
        _remove(stage.host)


def _install(stage: Stage, folder: Path, image: str) -> TheirRedis:
    host = stage.host
    _create(host, "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
    address = str(_create(host, f"{_CORE}/services", service())["spec"]["clusterIP"])
    made = issue_serving(folder, [address])
    passwords = {name: secrets.token_urlsafe(24) for name in ("default", USER)}
    files = {
        "ca.crt": made.ca.read_text(),
        "tls.crt": made.server[0].read_text(),
        "tls.key": made.server[1].read_text(),
        "password": passwords["default"],
        "redis.conf": configuration(passwords),
    }
    _create(host, f"{_CORE}/secrets", {"metadata": {"name": "redis"}, "stringData": files})
    _create(host, _SET, workload(image))

    def ready() -> bool:
        status = (host.get(f"{_SET}/redis") or {}).get("status") or {}
        return status.get("readyReplicas") == 1

    until(ready, "their Redis answers over TLS", 120)
    return TheirRedis(stage, address, files["ca.crt"], passwords[USER])


def _create(host: Kube, path: str, body: Object) -> Object:
    answer = host.create(path, body)
    assert answer.status_code == 201, answer.text
    found: Object = json.loads(answer.text)
    return found


def _remove(host: Kube) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}"
    host.delete(path)
    until(lambda: host.get(path) is None, f"namespace {NAMESPACE} is gone", 120)
