"""Requests: pages, preconditions, safe retries."""

import time

import httpx2
import pytest

from atoll.client import Atoll
from atoll.contract.teams import TeamCreate
from atoll.errors import AtollError, UnavailableError
from fakes.atoll_api import FakeApi, team


def client(api: FakeApi) -> Atoll:
    return Atoll("http://atoll/", "secret", api.transport)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)


def test_pages_are_read_to_the_end() -> None:
    api = FakeApi()
    api.when(
        "GET", "teams", {"items": [team("a"), team("b")], "next": "c1"}, {"items": [team("c")]}
    )
    assert [t.name for t in client(api).teams.all()] == ["a", "b", "c"]
    assert [r.url.params.get("cursor") for r in api.asked] == [None, "c1"]
    assert {r.headers["authorization"] for r in api.asked} == {"Bearer secret"}


def test_a_field_of_a_newer_api_is_passed_over() -> None:
    api = FakeApi()
    api.when("GET", "teams/a", team("a") | {"colour": "blue"})
    assert client(api).teams.get("a").name == "a"


def test_a_post_that_broke_is_repeated_under_the_same_key() -> None:
    api = FakeApi()

    def broken(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.RemoteProtocolError("gone")

    api.when("POST", "teams", broken, team("a"))
    assert client(api).teams.create(TeamCreate(name="a")).name == "a"
    keys = [r.headers["idempotency-key"] for r in api.asked]
    assert len(keys) == 2
    assert len(set(keys)) == 1


def test_two_posts_have_two_keys() -> None:
    api = FakeApi()
    api.when("POST", "teams", team("a"))
    for _ in range(2):
        client(api).teams.create(TeamCreate(name="a"))
    assert len({r.headers["idempotency-key"] for r in api.asked}) == 2


def test_nobody_answers() -> None:
    api = FakeApi()

    def refused(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("refused")

    api.when("GET", "whoami", refused)
    with pytest.raises(UnavailableError, match="http://atoll cannot be reached") as caught:
        client(api).whoami()
    assert caught.value.code == "unreachable"


def test_writes_name_the_revision() -> None:
    api = FakeApi()
    api.when("PATCH", "teams/a", team("a"))
    api.when("DELETE", "teams/a", httpx2.Response(204))
    teams = client(api).teams
    teams.update("a", {"displayName": "A"}, revision="7", dry_run=True)
    assert teams.delete("a") is None
    patch, delete = api.asked
    assert (patch.headers["if-match"], patch.url.params["dry_run"]) == ('"7"', "server")
    assert (delete.headers["if-match"], "dry_run" in delete.url.params) == ("*", False)


def test_some_other_server_is_recognised() -> None:
    api = FakeApi()
    api.when("GET", "whoami", httpx2.Response(302, headers={"location": "/login"}))
    with pytest.raises(AtollError, match="redirected to /login"):
        client(api).whoami()
