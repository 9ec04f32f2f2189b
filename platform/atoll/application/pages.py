"""Lists in pieces, by an opaque cursor over a stable order."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from atoll.contract.base import Page
from atoll.errors import FieldProblem, InvalidError

LIMIT = 50
LIMIT_MOST = 200


class Named(Protocol):
    """Anything with a name to order by."""

    @property
    def name(self) -> str:
        """What the list is ordered by."""
        ...


T = TypeVar("T", bound=Named)
M = TypeVar("M")


@dataclass(frozen=True)
class PageAsk:
    """Which piece of a list: at most `limit` (1-200) items, after what `cursor` stands for."""

    limit: int = LIMIT
    cursor: str | None = None


async def every(page: Callable[[PageAsk], Awaitable[Page[M]]]) -> list[M]:
    """All items of a list that `page` gives piece by piece."""
    found, ask = list[M](), PageAsk(LIMIT_MOST)
    while True:
        got = await page(ask)
        found += got.items
        if got.next is None:
            return found
        ask = PageAsk(LIMIT_MOST, got.next)


def piece(items: Iterable[T], ask: PageAsk) -> Page[T]:
    """The asked piece, ordered by name. Raises InvalidError on a cursor that we never gave."""
    return piece_by(items, ask, lambda item: item.name)


def piece_by(items: Iterable[M], ask: PageAsk, place: Callable[[M], str]) -> Page[M]:
    """The asked piece, ordered by the text that `place` gives, which no two items share."""
    after = _decode(ask.cursor) if ask.cursor else ""
    rest = sorted((i for i in items if place(i) > after), key=place)
    found = rest[: ask.limit]
    following = _encode(place(found[-1])) if len(rest) > len(found) else None
    return Page(items=found, next=following)


def _encode(name: str) -> str:
    return base64.urlsafe_b64encode(f"1:{name}".encode()).decode().rstrip("=")


def _decode(cursor: str) -> str:
    try:
        text = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise _unknown() from error
    if not text.startswith("1:"):
        raise _unknown()
    return text[2:]


def _unknown() -> InvalidError:
    return InvalidError(
        "The cursor is not one of ours; start again without it",
        fields=(FieldProblem("/query/cursor", "is not a cursor of this list"),),
    )
