"""Objects that somebody has written past our rules: one of them must not stop the loop for all others."""

from datetime import datetime

import structlog

from atoll.resources.meta import moment

log = structlog.get_logger()
MALFORMED = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError)
"""What reading such an object raises: a missing part, a part of another shape, no quantity, no time."""


def not_before(text: str) -> datetime:
    """The time of the next try as a status says it (RFC 3339, UTC without a zone); long ago for no time."""
    return moment(text, otherwise=datetime.min)


class Complaints:
    """Says of each object what is wrong with it once, until that is something else."""

    def __init__(self, event: str) -> None:
        self._event = event
        self._told: dict[str, str] = {}

    def tell(self, name: str, error: Exception) -> None:
        """Write down that it could not be read, and why."""
        text = f"{type(error).__name__}: {error}"
        if self._told.get(name) != text:
            self._told[name] = text
            log.warning(self._event, name=name, detail=text)

    def settle(self, name: str) -> None:
        """It could be read, or is gone."""
        self._told.pop(name, None)
