"""Thin entry points: a hint becomes one look."""

import asyncio
import time
from typing import Any

from atoll.cluster.client import Cluster
from atoll.dispatch import SENT_AT, TASK
from atoll.errors import UnavailableError
from atoll.settings import get_settings
from atoll.telemetry import worker_metrics
from atoll_worker.adapters.helm import HelmReleases
from atoll_worker.app import app
from atoll_worker.reconcile.runner import Runner
from atoll_worker.reconcile.steps import all_steps


async def look(name: str) -> str:
    """One look at one virtual cluster, over a connection of its own."""
    settings = get_settings()
    releases = HelmReleases(settings.helm, settings.charts)
    async with Cluster.from_file(settings.kubeconfig) as host:
        return await Runner(host, settings, releases, all_steps()).look(name)


@app.task(name=TASK, bind=True)
def reconcile(self: Any, kind: str, name: str, generation: int) -> str:
    """A hint: look at this object. `generation` is for the log; truth is what the cluster says."""
    sent_at = getattr(self.request, SENT_AT, None)
    if sent_at is not None:
        worker_metrics.queue_age(time.time() - float(sent_at))
    if kind != "VirtualCluster":
        return "ignored"
    try:
        return asyncio.run(look(name))
    except UnavailableError:
        worker_metrics.look("unavailable", 0.0)
        return "unavailable"  # the sweeper hints again
