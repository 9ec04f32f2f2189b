"""Pods that were on the host before it was noted whose their gang's name is: other namespaces' go."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import POD
from atoll.domain.gangs import GROUP_NAME

_YOUNG_SECONDS = 1.0
"""A name that was noted longer ago was in force when another namespace came to claim it."""
_IN_FORCE_SECONDS = 0.3
"""After this long the host's policy goes by the note."""
_SHORTEST_SECONDS, _LONGEST_SECONDS = 0.3, 5.0


@dataclass(frozen=True)
class _Member:
    """A pod inside that claims a gang."""

    uid: str
    namespace: str
    name: str
    gang: str
    going: bool


class Clearing:
    """For all contested names of one virtual cluster one list of its pods at a time, after pauses that
    grow while pods stay. Those that come after the note are refused by the host.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._noted_at: dict[str, float] = {}
        self._left: dict[str, set[str] | None] = {}
        """Contested gang -> pods that must still go, by uid; None: not looked for yet."""
        self._members: list[_Member] = []
        self._read_at = -math.inf
        self._pause = _SHORTEST_SECONDS
        self._asked: set[str] = set()

    def noted(self, gang: str) -> None:
        """Just now, whose its name is."""
        self._noted_at[gang] = self._clock()
        self._left.pop(gang, None)

    def uncontested(self, gang: str) -> None:
        """Only one virtual namespace claims it."""
        self._left.pop(gang, None)

    def forget(self, gang: str) -> None:
        """The name is nobody's any more."""
        self._noted_at.pop(gang, None)
        self._left.pop(gang, None)

    async def clear(self, inside: Cluster, gang: str, holder: str) -> float | None:
        """Ask pods of other virtual namespaces that would count as members of this gang to go.

        The seconds after which to look again; None when none is left. Raises the cluster's errors.
        """
        now, noted = self._clock(), self._noted_at.get(gang, -math.inf)
        if gang not in self._left:
            self._left[gang] = None if now - noted < _YOUNG_SECONDS else set()
        left = self._left[gang]
        if left is not None and not left:
            return None
        if now < noted + _IN_FORCE_SECONDS:
            return _IN_FORCE_SECONDS
        foreign = [
            member
            for member in await self._look(inside, noted + _IN_FORCE_SECONDS)
            if member.gang == gang and member.namespace != holder
        ]
        still = [member for member in foreign if left is None or member.uid in left]
        self._left[gang] = {member.uid for member in still}
        for member in still:
            await self._ask(inside, member)
        if all(uids is not None and not uids for uids in self._left.values()):
            self._rest()
        return self._pause if still else None

    async def _look(self, inside: Cluster, earliest: float) -> list[_Member]:
        """The members as they were read after `earliest`, less than a pause ago."""
        now = self._clock()
        if self._read_at < earliest or now >= self._read_at + self._pause:
            found = await inside.items(POD)
            grown = min(self._pause * 2, _LONGEST_SECONDS)
            self._pause = grown if any(self._left.values()) else _SHORTEST_SECONDS
            self._members, self._read_at = [*filter(None, map(_member, found))], now
        return self._members

    async def _ask(self, inside: Cluster, member: _Member) -> None:
        if not member.going and member.uid not in self._asked:
            await inside.delete(POD, member.name, member.namespace)
            self._asked.add(member.uid)

    def _rest(self) -> None:
        """Nothing is contested: remember nothing of pods."""
        self._members, self._read_at, self._pause = [], -math.inf, _SHORTEST_SECONDS
        self._asked.clear()


def _member(pod: Object) -> _Member | None:
    meta = pod["metadata"]
    gang = (meta.get("annotations") or {}).get(GROUP_NAME)
    if not gang:
        return None
    return _Member(meta["uid"], meta["namespace"], meta["name"], gang, "deletionTimestamp" in meta)
