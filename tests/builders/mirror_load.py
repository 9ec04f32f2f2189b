"""Many PodGroups through the gang mirror, which is killed in the middle: what came of each."""

import asyncio
import statistics
import time
from dataclasses import dataclass, field
from functools import partial

from bench.gangs.patience import surely

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import POD_GROUP
from atoll.domain import gangs, names
from builders.mirror_site import SPACE, MirrorSite, group

Key = tuple[str, str]
_CREATORS = 4


@dataclass
class MirrorFigures:
    """Seconds of the test's clock. `lags`: from a PodGroup inside to its copy, before the mirror died."""

    groups: int
    seconds: float
    take_over: float
    lags: list[float] = field(default_factory=list)

    def line(self) -> str:
        lags = sorted(self.lags)
        return (
            f"{self.groups} PodGroups mirrored in {self.seconds:.1f} s "
            f"({1000 * (self.seconds - self.take_over) / self.groups:.1f} ms each), killed once in the "
            f"middle: going on {self.take_over:.1f} s later; before that from PodGroup to copy median "
            f"{statistics.median(lags):.2f} s, longest {lags[-1]:.2f} s; none lost, none doubled"
        )


class MirrorLoad:
    """`count` PodGroups in each virtual cluster of the site."""

    def __init__(self, site: MirrorSite, count: int) -> None:
        self._site, self._count = site, count
        self._made: dict[Key, float] = {}
        self.wanted: dict[Key, Object] = {
            (names.host_namespace(name), group(n)["metadata"]["name"]): group(n)
            for name in site.insides
            for n in range(count)
        }

    async def send(self) -> MirrorFigures:
        """Make them all; when a third is on the host, kill the mirror and start another."""
        site, ledger, began = self._site, self._site.ledger, time.monotonic()
        site.mirror.start()
        making = asyncio.create_task(self._make())
        try:
            third = len(self.wanted) // 3
            await ledger.until(lambda: len(ledger.copies) >= third, "a third is mirrored")
            site.mirror.kill()
            killed = time.monotonic()
            site.mirror.start()
            await making
        finally:
            making.cancel()
        await ledger.until(lambda: len(ledger.copies) >= len(self.wanted), "all are mirrored")
        after = min((at for at in ledger.when.values() if at > killed), default=killed)
        lags = [at - self._made[key] for key, at in ledger.when.items() if at <= killed]
        ended = max(ledger.when.values())
        return MirrorFigures(len(self.wanted), ended - began, after - killed, lags)

    async def _make(self) -> None:
        async def some(name: str, part: int) -> None:
            for number in range(part, self._count, _CREATORS):
                wish = group(number)
                key = names.host_namespace(name), wish["metadata"]["name"]
                self._made[key] = time.monotonic()
                await surely(partial(self._site.insides[name].create, wish))

        await asyncio.gather(
            *(some(name, part) for name in self._site.insides for part in range(_CREATORS))
        )

    def judge(self) -> None:
        """Every PodGroup has its copy, which appeared once and never went; and there are no others."""
        ledger = self._site.ledger
        assert ledger.copies.keys() == self.wanted.keys()
        assert set(ledger.appeared.values()) == {1}
        assert not ledger.went
        for (namespace, name), copy in ledger.copies.items():
            wish = self.wanted[namespace, name]["spec"]
            assert copy["spec"]["minMember"] == wish["minMember"]
            assert copy["spec"]["minResources"] == wish["minResources"]
            assert copy["spec"]["queue"] == namespace, "the tenant has chosen its queue"
            assert gangs.virtual_namespace(copy) == SPACE

    async def tell_back(self, every: int = 10) -> None:
        """What the host's scheduler says of some of them comes to be said inside."""
        some = sorted(self.wanted)[::every]
        for namespace, name in some:
            change = {"status": {"phase": "Running", "running": 2}}
            await surely(partial(self._site.host.patch, POD_GROUP, name, change, namespace))
        for namespace, name in some:
            inside = self._site.insides[namespace.removeprefix(names.host_namespace(""))]
            await self._comes(inside, name)

    async def _comes(self, inside: Cluster, name: str) -> None:
        deadline = time.monotonic() + 600
        while True:
            found = await surely(partial(inside.get, POD_GROUP, name, SPACE)) or {}
            if (found.get("status") or {}).get("phase") == "Running":
                return
            assert time.monotonic() < deadline, f"{name} is never said to run"
            await asyncio.sleep(0.1)

    async def take_half(self) -> None:
        """Delete every second one inside, and the mirror in the middle of it: just those go outside."""
        site, ledger = self._site, self._site.ledger
        goes = set(sorted(self.wanted)[::2])
        taking = asyncio.create_task(self._take(goes))
        await ledger.until(lambda: len(ledger.went) >= len(goes) // 3, "a third of them is gone")
        site.mirror.kill()
        site.mirror.start()
        await taking
        await ledger.until(lambda: len(ledger.went) >= len(goes), "all of them are gone")
        assert ledger.went.keys() == goes
        assert ledger.copies.keys() == self.wanted.keys() - goes
        assert set(ledger.appeared.values()) == {1}

    async def _take(self, keys: set[Key]) -> None:
        for namespace, name in sorted(keys):
            inside = self._site.insides[namespace.removeprefix(names.host_namespace(""))]
            await surely(partial(inside.delete, POD_GROUP, name, SPACE))
