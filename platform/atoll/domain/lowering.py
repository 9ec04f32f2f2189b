"""A quota that is lowered below what is taken of it, a team's or a virtual cluster's. Pure.

Nothing is taken away from anybody by it. Because it is rarely meant, whoever wants it confirms what they
were shown, by its fingerprint.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from atoll.domain.quantities import parse_quantity
from atoll.domain.quotas import amount_text

_ZERO = Decimal(0)


@dataclass(frozen=True)
class Line:
    """One resource before and after. Amounts are canonical quantities; None means not named."""

    resource: str
    limit_before: str | None
    limit_after: str | None
    taken: str
    """Reserved of a team's quota, used of a virtual cluster's."""

    @property
    def over_before(self) -> str:
        """How much more is taken than the old limit; "0" when it fits."""
        return self._over(self.limit_before)

    @property
    def over(self) -> str:
        """How much more is taken than the new limit; "0" when it fits."""
        return self._over(self.limit_after)

    def _over(self, limit: str | None) -> str:
        if limit is None:
            return "0"
        extra = parse_quantity(self.taken) - parse_quantity(limit)
        return amount_text(self.resource, max(_ZERO, extra))


def is_worse(lines: Iterable[Line]) -> bool:
    """Whether more would be over than is now: that has to be confirmed."""
    return any(parse_quantity(c.over) > parse_quantity(c.over_before) for c in lines)


def fingerprint(told: Mapping[str, Any]) -> str:
    """A name for what was told, 16 hexadecimal digits; whoever knows it has seen that."""
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def describe_over(lines: Iterable[Line], taken: str) -> str:
    """What is over, in words; `taken` is how: "cpu: 12 reserved of 8, 4 over"."""
    return "; ".join(
        over_words(c.resource, f"{c.taken} {taken}", c.limit_after, c.over)
        for c in lines
        if c.over != "0"
    )


def over_words(resource: str, taken: str, limit: str | None, over: str) -> str:
    """One line that is over, in words; `taken` is how much and how: "12 reserved"."""
    return f"{resource}: {taken} of {limit}, {over} over"
