"""Colour, only for people: never into a pipe, never with NO_COLOR."""

import os
from typing import TextIO

_CODES = {"red": "31", "green": "32", "yellow": "33", "dim": "2", "bold": "1"}


def colourful(stream: TextIO) -> bool:
    """Whether colour may be written: a terminal that shows it, and NO_COLOR not set."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str, stream: TextIO) -> str:
    """The text in a colour when the stream may have one."""
    return f"\x1b[{_CODES[colour]}m{text}\x1b[0m" if colourful(stream) else text
