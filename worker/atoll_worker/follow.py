"""Watches, sweeps and mirrors gangs, in one process: `python -m atoll_worker.follow`.

Three loops, each of which finds all its work without the others. They share a process because each needs
little more than what all have loaded. When one of them dies the process ends with it, so that
whoever started it starts all anew; a part of it would go unseen for long.
"""

import asyncio
import contextlib
import signal
from collections.abc import Coroutine

import structlog

from atoll.cluster.client import Cluster
from atoll.dispatch import Dispatch
from atoll.settings import Settings, get_settings
from atoll.telemetry import logs, worker_metrics
from atoll_worker import mirror
from atoll_worker.sweep import Sweeper
from atoll_worker.watch import Watcher


async def follow(loops: dict[str, Coroutine[object, object, None]]) -> None:
    """Run the loops, each with its name on its log lines, until cancelled.

    An ExceptionGroup when one of them died; the others have been cancelled then.
    """

    async def named(name: str, loop: Coroutine[object, object, None]) -> None:
        with structlog.contextvars.bound_contextvars(loop=name):
            await loop
            raise RuntimeError(f"the loop {name} ended by itself")

    async with asyncio.TaskGroup() as group:
        for name, loop in loops.items():
            group.create_task(named(name, loop))


async def main(settings: Settings) -> None:
    """Run until SIGTERM."""
    worker_metrics.serve(settings, "follower")
    dispatch = Dispatch(settings)
    async with Cluster.from_file(settings.kubeconfig) as host:
        watcher, sweeper = Watcher(host, dispatch), Sweeper(host, dispatch, settings)
        loops = {
            "watch": watcher.run(),
            "sweep": sweeper.run(),
            "mirror": mirror.follow(host, settings, watcher.tell),
        }
        work = asyncio.create_task(follow(loops))
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await work
    dispatch.close()


if __name__ == "__main__":
    logs.configure("follower", level=get_settings().log_level)
    asyncio.run(main(get_settings()))
