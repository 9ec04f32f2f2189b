"""Which API, and as whom: flags, then the environment, then the context file."""

import stat
from functools import partial
from pathlib import Path

import pytest

from atoll.cli import accounts, contexts
from atoll.cli.contexts import Context
from atoll.cli.exits import UsageError
from atoll.client import Atoll
from fakes.atoll_api import FakeApi

from .conftest import Run


@pytest.fixture(autouse=True)
def whoami(api: FakeApi) -> None:
    api.when("GET", "whoami", {"name": "ada", "roles": ["owner"]})


def keep(**found: Context) -> None:
    with contexts.changing() as known:
        known.contexts.update(found)
        known.current = next(iter(found))


def asked(api: FakeApi) -> tuple[str, str | None]:
    last = api.asked[-1]
    return last.url.host, last.headers.get("authorization")


def test_the_current_context(api: FakeApi, cli: Run) -> None:
    keep(one=Context("http://one", "t1"), two=Context("http://two", "t2"))
    assert cli("whoami", url=None).code == 0
    assert asked(api) == ("one", "Bearer t1")
    cli("--context", "two", "whoami", url=None)
    assert asked(api) == ("two", "Bearer t2")


def test_the_environment_is_stronger(
    api: FakeApi, cli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(one=Context("http://one", "t1"))
    monkeypatch.setenv("ATOLL_TOKEN", "env")
    cli("whoami", url="http://three")
    assert asked(api) == ("three", "Bearer env")


def test_the_flag_is_strongest(api: FakeApi, cli: Run) -> None:
    keep(one=Context("http://one", "t1"), four=Context("http://four", "t4"))
    cli("--api-url", "http://four", "whoami", url="http://three")
    assert asked(api) == ("four", "Bearer t4")


def test_a_token_never_goes_to_another_api(api: FakeApi, cli: Run) -> None:
    keep(one=Context("http://one", "t1"))
    cli("--api-url", "http://elsewhere", "whoami")
    assert asked(api) == ("elsewhere", None)


def test_the_file_is_private() -> None:
    keep(one=Context("http://one", "t1"))
    assert stat.S_IMODE(contexts.file().stat().st_mode) == 0o600
    assert contexts.load().pick("one") == Context("http://one", "t1")


def test_unknown_context_and_broken_file(cli: Run) -> None:
    keep(one=Context("http://one"))
    assert cli("--context", "none", "whoami", url=None).code == 2
    contexts.file().write_text("{")
    with pytest.raises(UsageError, match="correct or remove it"):
        contexts.load()


def test_login_keeps_what_works(api: FakeApi, cli: Run, tmp_path: Path,
                                monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    monkeypatch.setattr(accounts, "Atoll", partial(Atoll, transport=api.transport))
    secret = tmp_path / "token"
    secret.write_text("s3cret\n")
    ended = cli("login", "http://new/", "--token-file", str(secret), url=None)
    assert ended.code == 0
    assert asked(api) == ("new", "Bearer s3cret")
    assert contexts.load().pick() == Context("http://new", "s3cret")
    assert "s3cret" not in ended.out + ended.err

    assert cli("logout", url=None).code == 0
    assert contexts.load().pick() is None
