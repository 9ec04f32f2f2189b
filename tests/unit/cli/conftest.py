"""Runs the whole command line in this process, against the contract in memory."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from atoll.cli import session
from atoll.cli.app import main
from atoll.client import Atoll
from fakes.atoll_api import FakeApi


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in (
        "ATOLL_API_URL",
        "ATOLL_TOKEN",
        "ATOLL_VC",
        "ATOLL_HOST",
        "KUBECONFIG",
        "NO_COLOR",
    ):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("ATOLL_HOME", str(tmp_path / "state"))


@pytest.fixture
def cli(api: FakeApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.setattr(session, "Atoll", partial(Atoll, transport=api.transport))

    def run(*arguments: str, url: str | None = "http://atoll") -> Ended:
        if url:
            monkeypatch.setenv("ATOLL_API_URL", url)
        monkeypatch.setattr(sys, "argv", ["atoll", *arguments])
        code: object = 0
        try:
            main()
        except SystemExit as end:
            code = end.code
        told = capsys.readouterr()
        return Ended(int(code) if isinstance(code, int) else 0, told.out, told.err)

    return run
