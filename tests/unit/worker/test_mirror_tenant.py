"""What one gang of a virtual cluster may not do to the others, and all of them to the host."""

import asyncio
import contextlib
from typing import Any, cast

from atoll.cluster.client import Cluster
from atoll.cluster.kinds import POD_GROUP
from atoll.domain import gangs
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


class Inside:
    """Keeps what is told of a gang."""

    def __init__(self) -> None:
        self.told: dict[str, Any] = {}

    async def patch(self, _: object, name: str, change: dict[str, Any], *__: Any) -> dict[str, Any]:
        self.told[name] = change["status"]
        return change


async def test_more_gangs_than_the_host_holds_for_one_are_told_so_and_wait() -> None:
    host, inside = Host(), Inside()
    outside = Picture(cast(Cluster, host), POD_GROUP, lambda _: None)
    tenant = Tenant(cast(Cluster, host), Ticket("lab", "red", "1", {}), outside, 1)
    picture = Picture(INSIDE, POD_GROUP, lambda _: None)
    tenant._claims = {f"g{number}": "ray" for number in range(gangs.MOST_GANGS - 1)}
    for name in ("last", "past"):
        picture.items["ray", name] = {"metadata": {"name": name, "namespace": "ray"}, "spec": {}}
        again = await tenant._settle(cast(Cluster, inside), picture, name, 0.0)
    assert host.applied == ["last"]
    assert again  # it is looked at again
    assert inside.told["past"]["conditions"][0]["reason"] == "TooManyGangs"
    del picture.items["ray", "last"]
    for name in ("last", "past"):
        await tenant._settle(cast(Cluster, inside), picture, name, 0.0)
    assert host.applied == ["last", "past"]
