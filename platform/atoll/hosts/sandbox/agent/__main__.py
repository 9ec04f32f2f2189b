"""The agent's process: `python -m atoll.hosts.sandbox.agent <root>`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from atoll.hosts.sandbox import layout
from atoll.hosts.sandbox.agent import ray
from atoll.hosts.sandbox.agent.endpoints import Endpoints
from atoll.hosts.sandbox.agent.informer import Informer, Reconciler, key_of
from atoll.hosts.sandbox.agent.kubelet import Kubelet
from atoll.hosts.sandbox.agent.logserver import of_host, serving
from atoll.hosts.sandbox.agent.programs import programs
from atoll.hosts.sandbox.agent.stores import collect
from atoll.hosts.sandbox.agent.vcluster import remove_stray
from atoll.hosts.sandbox.agent.volumes import Volumes
from atoll.hosts.sandbox.agent.world import World
from atoll.hosts.sandbox.kubeconfig import write_private

_COLLECT_SECONDS = 3.0
log = logging.getLogger("agent")


async def serve(root: Path) -> None:
    """Play the sandbox's kubelet and stand-ins until the process is ended."""
    world = World.open(root)
    endpoints = Endpoints()
    volumes = Volumes(world)
    services = Reconciler("endpoints", lambda key: endpoints.look(world.host, key))
    informers: list[Informer] = [world.pods, world.claims, world.host.services, volumes.volumes]
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        for informer in informers:
            group.create_task(informer.run())
        await asyncio.gather(*(informer.synced.wait() for informer in informers))
        await remove_stray(world)
        logs = serving(root, of_host(world), layout.host_certificates(root),
                       layout.host_ports(root)["kubelet"])  # fmt: skip
        await stack.enter_async_context(logs)
        kubelet = Kubelet(world, endpoints, programs())
        volumes.begin()
        world.host.services.subscribe(lambda service: services.add(key_of(service)))
        for queue in (kubelet.queue, volumes.claims, volumes.queue, services):
            group.create_task(queue.run())
        group.create_task(_collect(world))
        write_private(layout.agent_ready(root), str(os.getpid()))


async def _collect(world: World) -> None:
    while True:
        try:
            await collect(world)
            await asyncio.to_thread(ray.collect, world)
        except Exception:
            log.exception("removing stores")
        await asyncio.sleep(_COLLECT_SECONDS)


def main() -> None:
    """Start the agent; it ends at once when asked to, and leaves the programs it started."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stdout, format="%(asctime)s %(levelname)s %(message)s"
    )
    logging.getLogger("httpx2").setLevel(logging.WARNING)
    # Programs survive the agent: the next one finds them again by pid and start time.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    asyncio.run(serve(Path(sys.argv[1])))


main()
