"""Every `atoll ...` of the documentation is a command there is, with options there are."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from atoll.cli.app import app

ROOT = Path(__file__).parents[3]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`(atoll [^`<\n]+)`")
_ENDS = re.compile(r"\s(?:\||>>?|<<|&&|;|\.\.\.|…)(?:\s|$)|\$\(|\)\s*$")
"""Where the shell, or somebody else's command, begins."""


_FINE = ("Exit", "NoArgsIsHelpError")
_LEFT_OUT = ("MissingParameter", "BadOptionUsage")


def _lines(page: Path) -> Iterator[tuple[str, bool]]:
    """Command lines of a page, and whether one is whole (in a block) or may leave things out."""
    text = page.read_text()
    for block in _FENCE.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            plain = re.sub(r"^\s*(?:\$ |sudo |[A-Z_]+=\S+ )*", "", line)
            if plain.startswith("atoll "):
                yield plain, True
    for line in _INLINE.findall(_FENCE.sub("", text)):
        yield line, False


def _words(line: str) -> list[str]:
    # [--name NAME] may be left out and a|b is a choice: both are taken as they would be typed.
    plain = re.sub(r"[\[\]]", " ", _ENDS.split(line, maxsplit=1)[0])
    words = shlex.split(plain, comments=True)
    return [word.partition("|")[0] for word in words][1:]


COMMANDS = sorted(
    {(page.relative_to(ROOT).as_posix(), *found) for page in PAGES for found in _lines(page)}
)


def problem(words: list[str], *, whole: bool) -> str | None:
    """Why the command line would not be understood; nothing of it is run."""
    command: Any = typer.main.get_command(app)
    context = None
    while True:
        try:
            context = command.make_context(command.name, list(words), parent=context)
            if not hasattr(command, "resolve_command"):
                return None
            left = [*getattr(context, "_protected_args", []), *context.args]
            if not left:
                return None
            _, command, words = command.resolve_command(context, left)
        except Exception as error:  # noqa: BLE001 (its own errors are a private part of typer)
            told = type(error).__name__
            if told in _FINE or (told in _LEFT_OUT and not whole):
                return None
            return f"{told}: {getattr(error, 'message', error)}"


@pytest.mark.parametrize(
    ("page", "line", "whole"), COMMANDS, ids=[f"{page}: {line}" for page, line, _ in COMMANDS]
)
def test_it_is_understood(page: str, line: str, *, whole: bool) -> None:
    assert problem(_words(line), whole=whole) is None


def test_there_are_such_lines() -> None:
    assert len(COMMANDS) > 60
    assert {whole for _, _, whole in COMMANDS} == {True, False}


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("atoll team creat vision", "No such command"),
        ("atoll vc create lab --team vision --flavour big", "No such option"),
        ("atoll up --host", "requires an argument"),
        ("atoll operation wait", "Missing"),
        ("atoll team get one two", "unexpected extra argument"),
    ],
)
def test_what_is_wrong_is_found(line: str, told: str) -> None:
    assert told.lower() in str(problem(_words(line), whole=True)).lower()
