"""Changes of quotas in one tree of teams, one after another, whichever process writes them.

The rules of a tree (what the children are guaranteed together, whose limit is at most whose) speak of
several teams, and Kubernetes writes one object at a time. So whoever changes a line or a parent first
notes it on the root of the tree, `Team.status.changing`, by compare and set; the others wait.
"""

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from atoll.cluster import kinds
from atoll.cluster.client import Cluster, Object
from atoll.cluster.quota_trees import read_tree
from atoll.domain.quota_tree import QuotaTree
from atoll.errors import AtollError, NotFoundError, StaleWriteError, UnavailableError

_WAIT_SECONDS = 30.0
_HOLD_SECONDS = 30.0
LOST_SECONDS = 90.0
"""A note that is older has lost its writer: nobody may hold one for a third of that."""
_LONGEST_PAUSE = 0.5


@asynccontextmanager
async def alone(cluster: Cluster, *teams: str | None) -> AsyncIterator[None]:
    """Nobody else changes a quota or a parent in the trees of these teams meanwhile.

    Teams that are None or not there belong to no tree. Read inside what is to be checked. Raises
    UnavailableError when others do not come to an end, or the body takes longer than 30 s.
    """
    token = secrets.token_hex(8)
    names = [name for name in teams if name]
    roots = await _take_all(cluster, names, token) if names else []
    try:
        async with asyncio.timeout(_HOLD_SECONDS):
            yield
    except TimeoutError as error:
        raise UnavailableError(
            "The change of the quota took too long and was given up; look at the quota and try again"
        ) from error
    finally:
        await asyncio.shield(_give_back(cluster, roots, token))


async def _take_all(cluster: Cluster, names: list[str], token: str) -> list[str]:
    """The roots, each with our note; in the order of their names, so that two never wait for each other."""
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        roots = _roots(await read_tree(cluster), names)
        try:
            for root in roots:
                await _take(cluster, root, token, deadline)
            if _roots(await read_tree(cluster), names) == roots:
                return roots
        except NotFoundError:
            pass  # the root went just now; the tree has another
        except BaseException:
            await asyncio.shield(_give_back(cluster, roots, token))
            raise
        await _give_back(cluster, roots, token)
        if time.monotonic() > deadline:
            raise _busy(names[0])


def _roots(tree: QuotaTree, names: Iterable[str]) -> list[str]:
    chains = [tree.reachable(name) for name in names]
    return sorted({chain[-1].name for chain in chains if chain})


async def _take(cluster: Cluster, root: str, token: str, deadline: float) -> None:
    pause = 0.02
    while True:
        found = await cluster.get(kinds.TEAM, root)
        if not _held(found):
            with contextlib.suppress(StaleWriteError):
                await _note(cluster, found, f"{int(time.time())}-{token}")
                return
        if time.monotonic() > deadline:
            raise _busy(root)
        await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - spreads writers, no secret
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _held(team: Object) -> bool:
    since = str((team.get("status") or {}).get("changing") or "").partition("-")[0]
    return since.isdigit() and time.time() - int(since) < LOST_SECONDS


async def _note(cluster: Cluster, team: Object, text: str) -> None:
    status = {k: v for k, v in (team.get("status") or {}).items() if k != "changing"}
    if text:
        status["changing"] = text
    await cluster.replace({**team, "status": status}, status=True)


async def _give_back(cluster: Cluster, roots: list[str], token: str) -> None:
    """What cannot be reached now is taken for lost after LOST_SECONDS."""
    for root in roots:
        with contextlib.suppress(AtollError):
            await _drop(cluster, root, token)


async def _drop(cluster: Cluster, root: str, token: str) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while True:
        found = await cluster.get(kinds.TEAM, root)
        noted = str((found.get("status") or {}).get("changing") or "")
        if not noted.endswith(f"-{token}"):
            return
        with contextlib.suppress(StaleWriteError):
            await _note(cluster, found, "")
            return
        if time.monotonic() > deadline:
            return
        await asyncio.sleep(random.uniform(0, 0.05))  # noqa: S311 - spreads writers, no secret


def _busy(team: str) -> UnavailableError:
    return UnavailableError(
        f"Other changes of quotas in the tree of team {team!r} are being written just now; try again in "
        f"a moment. Should a writer have died, the tree is free after {LOST_SECONDS:.0f} s."
    )
