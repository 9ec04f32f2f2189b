"""The Ray clusters inside, listed once for all steps of a pass, and anew when a step changed something."""

import asyncio

from atoll.cluster.client import Cluster, InitializingError, Object
from atoll.cluster.kinds import RAY_CLUSTER
from atoll.errors import NotFoundError

Listed = tuple[Object, ...] | None


class RayClusterList:
    """Of one virtual cluster and one pass. Steps run side by side, so one that asks while another's list
    is under way gets that one.
    """

    def __init__(self) -> None:
        self._changes = 0
        self._found: tuple[int, Listed] | None = None
        self._listing = asyncio.Lock()

    def changed(self) -> None:
        """A change was made, or tried: what was listed, or is being listed, may be out of date."""
        self._changes += 1

    async def read(self, inside: Cluster) -> Listed:
        """Of all namespaces, as they are since the last change; None while the kind is not served.

        Raises the cluster's other errors.
        """
        async with self._listing:
            if self._found is None or self._found[0] != self._changes:
                begun = self._changes
                self._found = begun, await _list(inside)
            return self._found[1]


async def _list(inside: Cluster) -> Listed:
    try:
        return tuple(await inside.items(RAY_CLUSTER))
    except (NotFoundError, InitializingError):
        return None  # the operator is not there yet
