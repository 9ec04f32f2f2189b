"""Data on stdout: a table for people, the API's own object for programs, names for pipes."""

import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

import yaml

from atoll.cli.paint import paint
from atoll.resources.meta import Model

T = TypeVar("T", bound=Model)
Column = tuple[str, Callable[[T], object]]


class Format(StrEnum):
    """How data is written."""

    TABLE = "table"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


_COLOURS = {
    "Ready": "green", "ready": "green", "SUCCEEDED": "green", "succeeded": "green",
    "Failed": "red", "failed": "red", "FAILED": "red", "Degraded": "yellow",
}  # fmt: skip


class Shape(Generic[T]):
    """How one noun is shown: its columns, and the name for `-o name`."""

    def __init__(
        self,
        *columns: Column[T],
        name: Callable[[T], str] = lambda item: str(item.name),  # type: ignore[attr-defined]
    ) -> None:
        self.columns = columns
        self.name = name

    def many(self, items: Sequence[T], form: Format) -> None:
        """Write a list."""
        if form is Format.TABLE:
            table([c[0] for c in self.columns], [[c[1](i) for c in self.columns] for i in items])
        elif form is Format.NAME:
            for item in items:
                print(self.name(item))
        else:
            write({"items": [item.dump() for item in items]}, form)

    def one(self, item: T, form: Format) -> None:
        """Write one object."""
        if form in (Format.TABLE, Format.NAME):
            self.many([item], form)
        else:
            write(item.dump(), form)

    def within(self, whole: Model, items: Sequence[T], form: Format) -> None:
        """Write the parts of something as rows; for programs the whole of it."""
        if form in (Format.TABLE, Format.NAME):
            self.many(items, form)
        else:
            write(whole.dump(), form)


def write(data: Any, form: Format) -> None:
    """Plain data as JSON or YAML."""
    if form is Format.YAML:
        print(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), end="")
    else:
        print(json.dumps(data, indent=2, ensure_ascii=False))


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Columns with two spaces between them and a head without spaces."""
    texts = [[str(cell) if cell not in (None, "") else "-" for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *texts, strict=True)]
    print(_line([paint(h.ljust(w), "bold", sys.stdout) for h, w in zip(head, widths, strict=True)]))
    for row in texts:
        print(_line([_cell(text, width) for text, width in zip(row, widths, strict=True)]))


def age(moment: str | None) -> str:
    """How long ago an RFC 3339 time was, in its largest unit: 42s, 7m, 3h, 12d."""
    if not moment:
        return "-"
    seconds = int((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{max(seconds, 0)}s"


def pairs(values: dict[str, Any]) -> str:
    """A small mapping in one cell: cpu=4,memory=8Gi."""
    return ",".join(f"{key}={value}" for key, value in values.items())


def step(before: str | None, after: str | None) -> str | None:
    """A value before and after a change, in one cell; only the value where nothing changes."""
    return after if before == after else f"{before or '-'} → {after or '-'}"


def _cell(text: str, width: int) -> str:
    colour = _COLOURS.get(text)
    padded = text.ljust(width)
    return paint(padded, colour, sys.stdout) if colour else padded


def _line(cells: Sequence[str]) -> str:
    return "  ".join(cells).rstrip()
