"""Figures of every virtual cluster's Redis for Prometheus, asked by INFO as its administrator.

In the worker, which alone has the passwords and the way there. Each worker asks on its own: what they
tell is the same.
"""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict
from typing import TypeVar

import structlog
from pydantic import ValidationError
from structlog.contextvars import bound_contextvars

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import POD, PROFILE, SECRET, SERVICE, VIRTUAL_CLUSTER
from atoll.domain.gcs_store import StoreFigures
from atoll.domain.names import host_namespace
from atoll.errors import AtollError
from atoll.resources.profiles import Profile
from atoll.resources.virtual_clusters import VirtualCluster
from atoll.settings import Settings
from atoll.telemetry import worker_metrics
from atoll.telemetry.logs import about
from atoll.telemetry.whose import of_virtual_cluster
from atoll_worker.adapters.redis_store import RedisStores
from atoll_worker.malformed import MALFORMED
from atoll_worker.reconcile.ports import GcsStore, Instance
from atoll_worker.reconcile.stores import (
    REDIS_PODS,
    REDIS_SERVICE,
    decoded,
    external_access,
    instances_of,
    played_instances,
)

log = structlog.get_logger()
PERIOD_SECONDS = 30.0
_AT_ONCE = 8
R = TypeVar("R", VirtualCluster, Profile)
Figures = Mapping[tuple[str, str], StoreFigures | None]


class StoreFiguresReader:
    """Asks all of them in turn. A password is read once and again after it was refused."""

    def __init__(self, host: Cluster, settings: Settings) -> None:
        self._host, self._settings, self._stores = host, settings, RedisStores()
        self._passwords: dict[str, str] = {}

    async def read(self) -> Figures:
        """(virtual cluster, pod) -> what it says; None for one that does not answer."""
        opened = await self._opened()
        turn = asyncio.Semaphore(_AT_ONCE)

        async def ask(vc: VirtualCluster, store: GcsStore) -> Figures:
            # A task of its own, so these keys are on no other's lines.
            about(team=vc.spec.team, virtual_cluster=vc.name)
            try:
                async with turn:
                    found = {(vc.name, pod): told for pod, told in (await store.figures()).items()}
            except Exception:
                log.exception("figures.one_failed")
                return {}
            if None in found.values():
                self._passwords.pop(vc.name, None)
            return found

        answers = await asyncio.gather(*(ask(vc, store) for vc, store in opened))
        return {key: told for answer in answers for key, told in answer.items()}

    async def _opened(self) -> list[tuple[VirtualCluster, GcsStore]]:
        """Every virtual cluster whose Redis has a place, by three lists of the host whatever their number."""
        clusters = _readable(VirtualCluster, await self._host.items(VIRTUAL_CLUSTER))
        profiles = _readable(Profile, await self._host.items(PROFILE))
        instances = await self._instances()
        found: list[tuple[VirtualCluster, GcsStore]] = []
        for name, vc in clusters.items():
            mine = instances.get(host_namespace(name), [])
            with bound_contextvars(team=vc.spec.team, virtual_cluster=name):
                try:
                    if store := await self._store(vc, profiles.get(vc.spec.profile), mine):
                        found.append((vc, store))
                except AtollError as error:
                    log.warning("figures.no_way", detail=error.detail)
                except MALFORMED as error:
                    log.warning("figures.no_way", detail=type(error).__name__)
        return found

    async def _store(
        self, vc: VirtualCluster, profile: Profile | None, mine: list[Instance]
    ) -> GcsStore | None:
        """The way to its Redis; None where it has none. Raises AtollError or one of MALFORMED."""
        if profile and profile.spec.redis.external:
            external = profile.spec.redis.external
            return self._stores.external(
                await external_access(self._host, self._settings, vc, external)
            )
        if mine:
            return self._stores.own(mine, await self._password(vc.name))
        return None

    async def _instances(self) -> dict[str, list[Instance]]:
        """By host namespace."""
        if self._settings.reach == "kubeconfig":
            services = await self._host.items(SERVICE, labels=REDIS_SERVICE)
            return {
                item["metadata"]["namespace"]: played_instances(item)
                for item in services
                if item["metadata"]["name"] == "redis"
            }
        pods: dict[str, list[Object]] = defaultdict(list)
        for pod in await self._host.items(POD, labels=REDIS_PODS):
            pods[pod["metadata"]["namespace"]].append(pod)
        return {namespace: instances_of(mine) for namespace, mine in pods.items()}

    async def _password(self, name: str) -> str:
        if name not in self._passwords:
            secret = await self._host.get(SECRET, "redis", host_namespace(name))
            self._passwords[name] = decoded(secret.get("data") or {}, "password")
        return self._passwords[name]


def _readable(model: type[R], items: list[Object]) -> dict[str, R]:
    found: dict[str, R] = {}
    for item in items:
        try:
            found[item["metadata"]["name"]] = model.model_validate(item)
        except ValidationError as error:
            whose = of_virtual_cluster(item) if model is VirtualCluster else {}
            log.warning("figures.unreadable", **whose, kind=model.KIND,
                        name=item["metadata"]["name"], errors=error.error_count())  # fmt: skip
    return found


def told(figures: Figures) -> dict[tuple[str, str], dict[str, float] | None]:
    """As `worker_metrics.stores` takes them. Pure."""
    return {
        key: None if one is None else {name: float(value) for name, value in asdict(one).items()}
        for key, one in figures.items()
    }


async def follow(settings: Settings) -> None:
    """Until cancelled: ask, tell, rest."""
    while True:
        try:
            async with Cluster.from_file(settings.kubeconfig) as host:
                reader = StoreFiguresReader(host, settings)
                while True:
                    worker_metrics.stores(told(await reader.read()))
                    await asyncio.sleep(PERIOD_SECONDS)
        except AtollError as error:
            log.warning("figures.unavailable", detail=error.detail)
        except Exception:
            log.exception("figures.failed")
        await asyncio.sleep(PERIOD_SECONDS)


def start(settings: Settings) -> None:
    """In a thread of its own that ends with the process."""
    threading.Thread(
        target=lambda: asyncio.run(follow(settings)), name="store-figures", daemon=True
    ).start()
