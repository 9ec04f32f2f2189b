"""One whole run: site, what Atoll puts there, the real Volcano, the load. Shared by bench and tests."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.gangs.judge import Judge
from bench.gangs.load import Figures, Load
from bench.gangs.site import Site, open_site
from bench.gangs.tenant import QUEUE, as_owner, comes, furnish, opened, owner
from bench.gangs.volcano import Volcano

from atoll.cluster.client import Cluster

NODE_CORES = 4
_LOOK_SECONDS = 2.0


@dataclass
class Stage:
    """A site with our queue and admission, and Volcano at work. `tenant` is a team's owner's connection."""

    site: Site
    volcano: Volcano
    admin: Cluster
    tenant: Cluster
    cores: int
    _load: Load | None = None

    def stop(self) -> None:
        """Ask for no more gangs in the run that goes on."""
        if self._load is not None:
            self._load.stop()

    async def run(
        self, gangs: int, *, demand: float = 1.5, seconds: float = math.inf,
        tell: Callable[[int], None] = lambda _: None,
    ) -> Figures:  # fmt: skip
        """Send gangs through it; after `seconds` no more are asked for.

        Raises SiteError as soon as a program of the site has ended by itself.
        """
        nodes = dict.fromkeys(self.site.nodes, NODE_CORES * 1000)
        judge = Judge(self.cores * 1000, nodes)
        self._load = Load(self.tenant, judge, queue=QUEUE, total=gangs, room=self.cores * 1000,
                          demand=demand, seconds=seconds, tell=tell)  # fmt: skip
        running = asyncio.create_task(self._load.go())
        try:
            while not (await asyncio.wait({running}, timeout=_LOOK_SECONDS))[0]:
                self.site.programs.check()
            return running.result()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def open_stage(
    bundle: Path, folder: Path, cores: int, **changed: object
) -> AsyncIterator[Stage]:
    """All of it in `folder`, until the block ends. `cores`: what the queue may hold, a multiple of 4.

    The nodes have exactly as much, so a gang must fit the queue and the nodes. `changed`: values of
    Volcano's chart that are not ours. Raises NoVolcanoError without a bundle, before anything is started.
    """
    nodes = {f"{NODE_CORES}c64g": cores // NODE_CORES}
    with open_site(folder, nodes) as site:
        volcano = Volcano(bundle, site.kubeconfig, site.programs, **changed)
        async with Cluster.from_file(site.kubeconfig) as admin:
            await site.settle(admin)
            await furnish(admin, bundle, cores * 1000)
            user = await owner(admin)
            volcano.start()
            async with Cluster.from_dict(as_owner(site.kubeconfig, user)) as tenant:
                await comes(lambda: opened(admin), "Volcano's controller opens the queue")
                yield Stage(site, volcano, admin, tenant, cores)
