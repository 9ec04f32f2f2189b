"""The gang mirror as a process, between a host and the insides of several virtual clusters.

All are real API servers. What a worker would have made (namespaces, roles, tickets) is made here with the
product's own functions.
"""

import asyncio
import base64
import contextlib
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import yaml

from atoll.cluster import bootstrap
from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import POD_GROUP, QUEUE
from atoll.domain import names
from atoll.errors import AtollError
from atoll.hosts.sandbox import charts
from atoll.settings import Settings
from atoll_worker.reconcile.inside import mirror_manifests
from conftest import run_api_server

TEAM, SPACE = "blue", "ray"
_LABELS = {names.LABEL_STEP: names.MIRROR_STEP}
_PATIENCE = 600.0
"""Only ends what would never end; nothing is judged by it."""


class Mirror:
    """`python -m atoll_worker.follow` against one host: started, killed, started again."""

    def __init__(self, host: Path, redis_url: str, folder: Path) -> None:
        self._folder = folder
        self._environment = {
            **os.environ, "ATOLL_KUBECONFIG": str(host), "ATOLL_BROKER_URL": redis_url,
            "ATOLL_RUNTIME_DIR": str(folder), "ATOLL_METRICS_PORT": "0",
        }  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self._folder / "follower.log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "atoll_worker.follow"], env=self._environment,
                stdout=log, stderr=log,
            )  # fmt: skip

    def kill(self) -> None:
        """kill -9: it gets to say nothing, and its Lease runs out."""
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        self._process.kill()
        self._process.wait()
        self._process = None

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait(30)

    def log(self) -> str:
        return (self._folder / "follower.log").read_text(errors="replace")[-3000:]


class Ledger:
    """Every copy that appears on the host, changes, or goes, in the order of the host's own history."""

    def __init__(self, host: Cluster) -> None:
        self._host = host
        self.copies: dict[tuple[str, str], Object] = {}
        self.appeared: Counter[tuple[str, str]] = Counter()
        self.when: dict[tuple[str, str], float] = {}
        self.went: Counter[tuple[str, str]] = Counter()
        self._moved = asyncio.Event()

    async def follow(self) -> None:
        """From an empty host on; a watch that breaks is a fault of the test, for then it was blind."""
        found, revision = await self._host.items_at(POD_GROUP, labels=_LABELS)
        assert not found
        async for change, item in self._host.watch(POD_GROUP, since=revision, labels=_LABELS):
            key = item["metadata"]["namespace"], item["metadata"]["name"]
            if change == "DELETED":
                self.went[key] += 1
                del self.copies[key]
            else:
                if change == "ADDED":
                    self.appeared[key] += 1
                    self.when[key] = time.monotonic()
                self.copies[key] = item
            self._moved.set()

    async def until(self, so: Callable[[], bool], what: str) -> None:
        """Return as soon as `so` is true after some event."""
        deadline = time.monotonic() + _PATIENCE
        while not so():
            self._moved.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), 1)
            assert time.monotonic() < deadline, (
                f"never: {what}; {len(self.copies)} copies are there"
            )


class MirrorSite:
    """A host, the insides by the virtual cluster's name, the mirror and the ledger of its work."""

    def __init__(
        self, host: Cluster, insides: dict[str, Cluster], mirror: Mirror, ledger: Ledger
    ) -> None:
        self.host, self.insides, self.mirror, self.ledger = host, insides, mirror, ledger


@asynccontextmanager
async def open_mirror_site(
    folder: Path, redis_url: str, virtual_clusters: list[str]
) -> AsyncIterator[MirrorSite]:
    """All of it with tickets for the virtual clusters, the mirror not yet started."""
    async with contextlib.AsyncExitStack() as stack:
        host_file = stack.enter_context(_server(folder / "host"))
        host = await stack.enter_async_context(Cluster.from_file(host_file))
        await _kinds(host)
        settings = Settings(kubeconfig=host_file)
        await bootstrap.install(host, settings)
        insides = {}
        for name in virtual_clusters:
            file = stack.enter_context(_server(folder / name))
            inside = await stack.enter_async_context(Cluster.from_file(file))
            await _inside(inside)
            await _ticket(host, settings, name, inside, yaml.safe_load(file.read_text()))
            insides[name] = inside
        mirror, ledger = Mirror(host_file, redis_url, folder), Ledger(host)
        stack.callback(mirror.end)
        watching = asyncio.create_task(ledger.follow())
        try:
            yield MirrorSite(host, insides, mirror, ledger)
            assert not watching.done(), watching.exception()
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)


@contextmanager
def _server(folder: Path) -> Iterator[Path]:
    folder.mkdir()
    running = run_api_server(folder)
    try:
        yield next(running)
    finally:
        next(running, None)


async def _kinds(cluster: Cluster) -> None:
    for path in (charts.SOURCES / "volcano" / "templates").glob("[pq]*s.yaml"):
        await cluster.apply(yaml.safe_load(path.read_text()))
    for kind in (POD_GROUP, QUEUE):
        for _ in range(600):
            try:
                await cluster.items(kind)
                break
            except AtollError:
                await asyncio.sleep(0.1)
        else:
            raise AssertionError(f"{kind.plural} are never served")


async def _inside(inside: Cluster) -> None:
    await _kinds(inside)
    for name in (names.SYSTEM_NAMESPACE, SPACE):
        await inside.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    for manifest in mirror_manifests({}):
        await inside.apply(manifest)


async def _ticket(
    host: Cluster, settings: Settings, name: str, inside: Cluster, config: dict[str, Any]
) -> None:
    """The host namespace, and the Secret with the mirror's own token inside."""
    labels = {names.LABEL_VIRTUAL_CLUSTER: name, names.LABEL_TEAM: TEAM}
    meta = {"name": names.host_namespace(name), "labels": {**labels, names.LABEL_MODE: "shared"}}
    await host.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
    ask = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    path = f"api/v1/namespaces/{names.SYSTEM_NAMESPACE}/serviceaccounts/atoll-mirror/token"
    token = (await inside.request("POST", path, body=ask)).json()["status"]["token"]
    cluster = config["clusters"][0]["cluster"]
    data = {
        "server": base64.b64encode(cluster["server"].encode()).decode(),
        "ca.crt": cluster["certificate-authority-data"],
        "token": base64.b64encode(token.encode()).decode(),
    }
    secret = {
        "apiVersion": "v1", "kind": "Secret", "data": data,
        "metadata": {
            "name": names.mirror_secret(name), "namespace": settings.mirror_namespace,
            "labels": {**labels, **_LABELS},
        },
    }  # fmt: skip
    await host.apply(secret)


def group(number: int) -> Object:
    """A PodGroup as KubeRay makes it, its size told by its number."""
    members = 2 + number % 19
    return {
        "apiVersion": "scheduling.volcano.sh/v1beta1", "kind": "PodGroup",
        "metadata": {"name": names.pod_group_name(f"job-{number}"), "namespace": SPACE},
        "spec": {
            "minMember": members, "queue": "team-red",
            "minResources": {"cpu": f"{members * 100}m"},
        },
    }  # fmt: skip
