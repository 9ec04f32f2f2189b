"""Objects that somebody has written past our rules: one of them must not stop the loop for all others."""

from collections.abc import Callable
from datetime import datetime

import structlog

from atoll.cluster.client import Object
from atoll.domain import names
from atoll.resources.meta import moment

log = structlog.get_logger()
MALFORMED = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
"""What reading such an object raises: a missing part, a part of another shape, no quantity, no time."""


def not_before(text: str) -> datetime:
    """The time of the next try as a status says it (RFC 3339, UTC without a zone); long ago for no time."""
    return moment(text, otherwise=datetime.min)


def of_host_object(item: Object) -> dict[str, str]:
    """Keys of a line of the log about an object of the host that belongs to a virtual cluster.

    Of the team and the virtual cluster those that its labels or its namespace tell.
    """
    meta = item["metadata"]
    labels = meta.get("labels") or {}
    namespace, prefix = meta.get("namespace") or "", names.host_namespace("")
    behind = namespace.removeprefix(prefix) if namespace.startswith(prefix) else None
    keys = {
        "name": meta["name"],
        "team": labels.get(names.LABEL_TEAM),
        "virtual_cluster": labels.get(names.LABEL_VIRTUAL_CLUSTER) or behind,
    }
    return {key: value for key, value in keys.items() if value}


class Complaints:
    """Says of each object what is wrong with it once, until that is something else."""

    def __init__(self, event: str) -> None:
        self._event = event
        self._told: dict[str, str] = {}

    def tell(self, which: str, error: Exception, /, **keys: object) -> None:
        """Write down that it could not be read, why, and with these keys whose it is.

        `which` only tells it from the others.
        """
        text = f"{type(error).__name__}: {error}"
        if self._told.get(which) != text:
            self._told[which] = text
            log.warning(self._event, **keys, detail=text)

    def sound_teams(self, teams: list[Object], read: Callable[[Object], object]) -> list[Object]:
        """Those that `read` can make something of; of the others, once, what is wrong."""
        found = []
        for team in teams:
            name = team["metadata"]["name"]
            try:
                read(team)
            except MALFORMED as error:
                self.tell(name, error, team=name)
            else:
                self.settle(name)
                found.append(team)
        return found

    def settle(self, which: str) -> None:
        """It could be read, or is gone."""
        self._told.pop(which, None)
