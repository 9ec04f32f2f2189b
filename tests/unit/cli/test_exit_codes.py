"""The documented exit codes, each seen at the end of the whole command line."""

import re
from pathlib import Path

import pytest

from atoll import errors
from atoll.cli.exits import Exit
from fakes.atoll_api import FakeApi

from .conftest import Run

CASES = [
    (errors.InvalidError("x"), 2),
    (errors.UnauthenticatedError("x"), 4),
    (errors.ForbiddenError("x"), 5),
    (errors.NotFoundError("x"), 6),
    (errors.ConflictError("x"), 7),
    (errors.StaleWriteError("x"), 7),
    (errors.PreconditionError("x"), 7),
    (errors.PreconditionMissingError("x"), 7),
    (errors.QuotaExceededError("x"), 9),
    (errors.ConfirmationNeededError("x"), 10),
    (errors.UnavailableError("x"), 1),
    (errors.AtollError("x"), 1),
]


@pytest.mark.parametrize(("error", "code"), CASES, ids=lambda v: getattr(v, "code", v))
def test_errors_of_the_api(api: FakeApi, cli: Run, error: errors.AtollError, code: int) -> None:
    api.when("GET", "profiles", error)
    ended = cli("profile", "list")
    assert ended.code == code
    assert ended.out == ""
    assert "error:" in ended.err


def test_the_command_line_itself(cli: Run) -> None:
    assert cli("team", "nonsense").code == 2
    assert cli("vc", "create").code == 2
    assert cli("vc", "create", "lab", "--team", "t", "--nodes", "4c8g=-1").code == 2
    assert cli("vc", "create", "lab", "--team", "t", "--nodes", "4c8g").code == 2
    assert cli("event", "follow", "--for", "soon").code == 2


def test_no_api_is_known(cli: Run) -> None:
    ended = cli("team", "list", url=None)
    assert ended.code == 4
    assert "atoll login" in ended.err


def test_every_code_is_documented() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "cli.md"
    documented = {
        int(found) for found in re.findall(r"^\| (\d+) \|", page.read_text(), re.MULTILINE)
    }
    assert documented == {int(code) for code in Exit}


def test_the_numbers_reach_the_person(api: FakeApi, cli: Run) -> None:
    field = errors.FieldProblem("/spec/quota/cpu", "9 asked, 3 free", "8")
    error = errors.QuotaExceededError(
        "Ask for less cpu (held by lab 5), or ask an admin for more.", fields=(field,),
        extra={"shortages": [{"resource": "cpu", "asked": "9", "held": {"lab": "5"}}]},
    )  # fmt: skip
    api.when("POST", "virtual-clusters", error)
    ended = cli("vc", "create", "big", "--team", "vision")
    assert ended.code == 9
    assert "Ask for less cpu" in ended.err
    assert "/spec/quota/cpu: 9 asked, 3 free (limit 8)" in ended.err
    assert "held by lab 5" in ended.err
    assert "shortages" not in ended.err  # those are for programs; the words have every number
    assert "next: ask an admin" in ended.err
    assert "req-1" not in ended.err


def test_debug_shows_the_request(api: FakeApi, cli: Run) -> None:
    api.when("GET", "teams", errors.ForbiddenError("x"))
    assert "req-1" in cli("--debug", "team", "list").err


def test_an_interrupt(api: FakeApi, cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    api.when("GET", "teams", interrupted)  # type: ignore[arg-type]
    assert cli("team", "list").code == 130
