"""Forms of output: tables for people, the API's own objects for programs."""

import json
import sys
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from atoll.cli.output import age
from atoll.cli.paint import paint
from fakes.atoll_api import FakeApi, team

from .conftest import Run


@pytest.fixture(autouse=True)
def two_teams(api: FakeApi) -> None:
    api.when("GET", "teams", {"items": [team("vision", cpu="16"), team("speech")], "next": None})
    api.when("GET", "teams/vision", team("vision", cpu="16"))


def test_a_table_is_aligned_and_plain_in_a_pipe(cli: Run) -> None:
    lines = cli("team", "list").out.splitlines()
    assert lines[0].split() == ["NAME", "PARENT", "LIMITS", "RESERVED", "MEMBERS", "AGE"]
    assert [line.split()[:3] for line in lines[1:]] == [
        ["vision", "-", "cpu=16"], ["speech", "-", "-"],
    ]  # fmt: skip
    cells = ("RESERVED", "-", "-")
    starts = {line.index(cell, 20) for line, cell in zip(lines, cells, strict=True)}
    assert len(starts) == 1
    assert "\x1b" not in "".join(lines)


def test_json_is_the_object_of_the_api(cli: Run) -> None:
    assert json.loads(cli("team", "get", "vision", "-o", "json").out) == team("vision", cpu="16")
    items = json.loads(cli("team", "list", "-o", "json").out)["items"]
    assert items == [team("vision", cpu="16"), team("speech")]


def test_yaml_and_name(cli: Run) -> None:
    assert yaml.safe_load(cli("team", "get", "vision", "-o", "yaml").out) == team(
        "vision", cpu="16"
    )
    assert cli("team", "list", "-o", "name").out == "vision\nspeech\n"


def test_did_you_mean(cli: Run) -> None:
    ended = cli("team", "get", "vison")
    assert ended.code == 6
    assert "Did you mean 'vision'?" in ended.err
    assert "next: atoll team list" in ended.err
    assert "Did you mean" not in cli("team", "get", "qqqqqq").err


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (61, "1m"), (7300, "2h"), (200000, "2d")]
)
def test_age(seconds: int, text: str) -> None:
    moment = datetime.now(UTC) - timedelta(seconds=seconds)
    assert age(moment.isoformat()) == text
    assert age(None) == "-"


def test_colour_only_for_a_terminal_that_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    assert paint("x", "red", sys.stdout) == "\x1b[31mx\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert paint("x", "red", sys.stdout) == "x"
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert paint("x", "red", sys.stdout) == "x"
