"""`atoll profile`: whether one is valid, and what is wrong with it."""

import json
from typing import Any

import pytest

from builders.api_process import profile
from fakes.atoll_api import FakeApi

from .conftest import Run

WRONG = "/spec/ray/version: 2.9.0 is too old; the oldest supported version is 2.52.0"


def read(name: str, status: str | None, message: str = "") -> dict[str, Any]:
    told = {"type": "Valid", "status": status, "reason": "Any", "message": message}
    return {
        "name": name, "uid": "u", "revision": "r", "generation": 1,
        "spec": profile(name)["spec"], "status": {"conditions": [told] if status else []},
    }  # fmt: skip


@pytest.mark.parametrize(("status", "shown"), [("True", "yes"), ("False", "no"), (None, "-")])
def test_the_table_says_whether_it_is_valid(
    api: FakeApi, cli: Run, status: str | None, shown: str
) -> None:
    api.when("GET", "profiles", {"items": [read("stable", status)], "next": None})
    head, row = cli("profile", "list").out.splitlines()
    assert row.split()[head.split().index("VALID")] == shown


def test_what_is_wrong_is_told_beside_the_data(api: FakeApi, cli: Run) -> None:
    api.when("GET", "profiles/stable", read("stable", "False", WRONG))
    ended = cli("profile", "get", "stable", "-o", "json")
    assert (ended.code, ended.err) == (0, f"Profile stable is not valid: {WRONG}\n")
    assert json.loads(ended.out)["status"]["conditions"][0]["message"] == WRONG


def test_of_a_valid_one_nothing_is_told(api: FakeApi, cli: Run) -> None:
    api.when("GET", "profiles/stable", read("stable", "True", "Nothing is known against it"))
    assert cli("profile", "get", "stable").err == ""
