"""One gang that cannot be read does not keep the others of its virtual cluster from the host."""

import asyncio
import contextlib
from typing import Any, cast

from atoll.cluster.client import Cluster
from atoll.cluster.kinds import POD_GROUP
from atoll_worker.mirror.pictures import Picture
from atoll_worker.mirror.tenant import Tenant, Ticket

INSIDE = cast(Cluster, None)


class Host:
    """Takes what is written to it."""

    def __init__(self) -> None:
        self.applied: list[str] = []
        self.wrote = asyncio.Event()

    async def apply(self, manifest: dict[str, Any]) -> None:
        self.applied.append(manifest["metadata"]["name"])
        self.wrote.set()

    async def patch(self, *_: Any) -> None:
        """The claim of a name."""


async def test_the_next_gang_is_mirrored() -> None:
    host = Host()
    outside = Picture(cast(Cluster, host), POD_GROUP, lambda _: None)
    tenant = Tenant(cast(Cluster, host), Ticket("lab", "red", "1", {}), outside, 1)
    inside = Picture(INSIDE, POD_GROUP, lambda _: None)
    for name, spec in (("bad", "no mapping"), ("good", {"minMember": 2})):
        meta = {"name": name, "namespace": "ray"}
        inside.items["ray", name] = {"metadata": meta, "spec": spec}
        tenant.poke(name)
    work = asyncio.create_task(tenant._work(INSIDE, inside))
    wrote = asyncio.create_task(host.wrote.wait())
    await asyncio.wait({work, wrote}, return_when=asyncio.FIRST_COMPLETED)
    assert not work.done()
    assert host.applied == ["good"]
    for task in (work, wrote):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
