"""Thin entry points: a hint becomes one look."""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import structlog

from atoll.cluster.client import Cluster
from atoll.dispatch import HARD_LIMIT_SECONDS, SENT_AT, SOFT_LIMIT_SECONDS, TASK
from atoll.errors import UnavailableError
from atoll.settings import get_settings
from atoll.telemetry import worker_metrics
from atoll_worker.adapters.helm import HelmReleases
from atoll_worker.adapters.redis_store import RedisStores
from atoll_worker.app import app
from atoll_worker.reconcile.runner import Runner
from atoll_worker.reconcile.steps import all_steps

log = structlog.get_logger()


async def look(name: str, about: dict[str, str]) -> str:
    """One look at one virtual cluster, over a connection of its own.

    Puts into `about` whose work it is, as every line of the log says it.
    """
    settings = get_settings()
    releases = HelmReleases(settings.helm, settings.charts)
    async with (
        asyncio.timeout(SOFT_LIMIT_SECONDS),
        Cluster.from_file(settings.kubeconfig) as host,
    ):
        runner = Runner(host, settings, releases, RedisStores(), all_steps())
        return await runner.look(name, about)


@contextlib.contextmanager
def ended_after(seconds: float, about: Mapping[str, str]) -> Iterator[None]:
    """End this process, as `kill -9` would, when what is inside takes longer.

    A thread that blocks cannot be ended and would be one fewer for good. Whoever starts the worker
    starts it anew; every look stands being killed. `about` goes to the log: it is filled meanwhile.
    """

    def give_up() -> None:
        log.critical("look.stuck", seconds=seconds, **about)
        os._exit(os.EX_SOFTWARE)

    watchdog = threading.Timer(seconds, give_up)
    watchdog.daemon = True
    watchdog.start()
    try:
        yield
    finally:
        watchdog.cancel()


@app.task(name=TASK, bind=True)
def reconcile(self: Any, kind: str, name: str, generation: int) -> str:
    """A hint: look at this object. `generation` is for the log; truth is what the cluster says."""
    sent_at = getattr(self.request, SENT_AT, None)
    if sent_at is not None:
        worker_metrics.queue_age(time.time() - float(sent_at))
    if kind != "VirtualCluster":
        return "ignored"
    about = {"virtual_cluster": name}
    try:
        with ended_after(HARD_LIMIT_SECONDS, about):
            return asyncio.run(look(name, about))
    except UnavailableError:
        word = "unavailable"
    except TimeoutError:
        word = "timeout"
        log.warning("look.timeout", seconds=SOFT_LIMIT_SECONDS, **about)
    worker_metrics.look(word, 0.0)
    return word  # the sweeper hints again
