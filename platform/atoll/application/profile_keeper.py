"""Says of every profile whether it is valid, also of those that came past the API. It runs for the life
of an API process, level-triggered and safe to run several times side by side.
"""

import asyncio
import random

import structlog

from atoll.application.conditions import status_with
from atoll.application.profiles import name_problems, spec_problems
from atoll.application.stock import Stock
from atoll.application.validation import StoredInvalidError, stored
from atoll.cluster import kinds
from atoll.cluster.client import Cluster, Object
from atoll.domain.findings import Finding
from atoll.errors import AtollError, FieldProblem, StaleWriteError
from atoll.resources.profiles import VALID, Profile

_LOOK_SECONDS = 60.0
"""All are judged anew this often: what is in the bundle changes without telling."""
_LASTED_SECONDS = 5.0
"""A watch that ends sooner is trouble, and a list at every try would be a storm."""

log = structlog.get_logger(__name__)


class ProfileKeeper:
    """`run()` is a task for the life of the process."""

    def __init__(self, cluster: Cluster, stock: Stock) -> None:
        self._cluster = cluster
        self._stock = stock
        self._told: dict[str, int] = {}
        """Profile uid -> the generation of which its status tells."""

    async def run(self) -> None:
        """Until cancelled; after trouble again, with growing pauses up to 5 s."""
        pause, clock = 0.2, asyncio.get_running_loop().time
        while True:
            began = clock()
            try:
                since = await self.look()
                async with asyncio.timeout(_LOOK_SECONDS):
                    await self._follow(since)
            except TimeoutError:
                continue
            except AtollError as error:
                log.warning("profile-keeper.broken", error=error.detail)
            except Exception:
                log.exception("profile-keeper.failed")
            if clock() - began > _LASTED_SECONDS:
                pause = 0.2
            await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads, no secret
            pause = min(pause * 2, 5.0)

    async def look(self) -> str:
        """Judge all profiles; the resourceVersion to watch from."""
        found, since = await self._cluster.items_at(kinds.PROFILE)
        self._told = {}
        for item in found:
            await self._tell(item)
        return since

    async def _follow(self, since: str) -> None:
        async for change, item in self._cluster.watch(kinds.PROFILE, since=since):
            uid, generation = item["metadata"]["uid"], item["metadata"].get("generation", 0)
            # Another process, perhaps of another version, may say it in other words: that is no
            # reason to answer before the next look, or the two would never end.
            if change != "DELETED" and self._told.get(uid) != generation:
                await self._tell(item)

    async def _tell(self, item: Object) -> None:
        """Write the condition when it says something new, or was judged of another generation."""
        name = item["metadata"]["name"]
        try:
            # Digests of archives are read from the disk, and requests go on meanwhile.
            found = await asyncio.to_thread(judged, item, self._stock)
        except OSError as error:  # an archive of the bundle cannot be read: the others are judged
            log.warning("profile-keeper.unjudged", profile=name, error=str(error))
            return
        except Exception:  # whatever is odd about this one, the others are judged
            log.exception("profile-keeper.unjudged", profile=name)
            return
        status = status_with(item, [found])
        if status is not None:
            try:
                await self._cluster.replace({**item, "status": status}, status=True)
            except StaleWriteError:
                return  # that change comes by the watch
            except AtollError as error:  # it is gone, or its definition is of an older version
                log.warning("profile-keeper.untold", profile=name, error=error.detail)
                return
        self._told[item["metadata"]["uid"]] = item["metadata"].get("generation", 0)


def judged(item: Object, stock: Stock) -> Finding:
    """Whether a stored profile is one that the API would take as new, and if not, why."""
    try:
        profile = stored(Profile, item)
    except StoredInvalidError as error:
        return Finding(VALID, False, "StoredInvalid", error.detail)
    if problems := name_problems(profile.name, "/metadata/name"):
        return Finding(VALID, False, "NameInvalid", _words(problems))
    if problems := spec_problems(profile.spec):
        return Finding(VALID, False, "VersionRefused", _words(problems))
    if problems := stock.problems(profile.spec):
        return Finding(VALID, False, "NotInBundle", _words(problems))
    known = (
        "the platform's bundle has what it asks for"
        if stock.known
        else "whether its charts and images are to be had is told by its virtual clusters"
    )
    return Finding(VALID, True, "Valid", f"Nothing is known against its versions, and {known}")


def _words(problems: list[FieldProblem]) -> str:
    return "; ".join(f"{problem.pointer}: {problem.detail}" for problem in problems)
