"""Options that mean the same wherever they are."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from atoll.cli.exits import UsageError
from atoll.cli.output import Format
from atoll.cli.session import Session

Output = Annotated[Format, typer.Option("-o", "--output", help="How data is written.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait until the work is done.")]
Timeout = Annotated[
    str, typer.Option("--timeout", help="Longest time to wait, as 90s, 10m or 1h.", metavar="TIME")
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Check on the server, change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
File = Annotated[
    Path | None,
    typer.Option("-f", "--file", help="Read objects from a YAML file; - is standard input."),
]
Vc = Annotated[
    str | None,
    typer.Option("--vc", envvar="ATOLL_VC", help="Virtual cluster; not needed if there is one."),
]
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}


def session_of(ctx: typer.Context) -> Session:
    """The session the root command made."""
    found = ctx.find_object(Session)
    assert found is not None
    return found


def seconds(text: str) -> float:
    """A length of time in seconds: 90s, 10m, 1h or a plain number of seconds."""
    number, unit = (text[:-1], text[-1]) if text[-1:] in _UNITS else (text, "s")
    try:
        value = float(number) * _UNITS[unit]
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise UsageError(f"{text!r} is not a length of time; write 90s, 10m or 1h.")
    return value


def assignments(texts: Sequence[str], what: str) -> dict[str, str]:
    """`a=1,b=2` (and repeated options) as a mapping. UsageError names the piece that is wrong."""
    found: dict[str, str] = {}
    for piece in (p.strip() for text in texts for p in text.split(",") if p.strip()):
        key, equals, value = piece.partition("=")
        if not (key and equals and value):
            raise UsageError(f"{piece!r} is not understood in {what}; write NAME=VALUE,NAME=VALUE.")
        found[key] = value
    return found


def counts(texts: Sequence[str], what: str) -> dict[str, int]:
    """`4c8g=2,8c16g=1` as a mapping to whole numbers."""
    found = {}
    for key, value in assignments(texts, what).items():
        if not value.isdigit():
            raise UsageError(
                f"{key}={value} in {what}: the count must be a whole number, 0 or more."
            )
        found[key] = int(value)
    return found
