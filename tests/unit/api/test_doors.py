"""No route answers a stranger, whoever adds it."""

import re
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
from fastapi.routing import iter_route_contexts
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from atoll.auth.sessions import COOKIE, is_live, session_value
from atoll.main import build_api
from atoll.settings import Settings

TOKEN = "a-token"
OPEN = {"/openapi.json", "/docs", "/docs/problems", "/v1/health", "/metrics", "/login", "/logout"}
OPEN_PAGES = {"/static/{name}", "/theme", "/"}
"""Nothing of anybody is on these: files of the portal, a colour, and a redirect."""


APP = build_api(Settings(admin_token=TOKEN))


def routes() -> Iterator[tuple[str, str]]:
    for route in iter_route_contexts(APP.routes):
        for method in sorted(route.methods or ()):
            yield method, str(route.path)


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    # Without a lifespan there are no use cases: whoever gets past the door crashes, and is seen.
    transport = httpx2.ASGITransport(APP, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://atoll.test") as made:
        yield made


CLOSED = sorted({(m, p) for m, p in routes() if p not in OPEN | OPEN_PAGES})


def test_the_list_of_routes_is_the_real_one() -> None:
    assert {("DELETE", "/v1/teams/{team}"), ("GET", "/v1/events"), ("GET", "/teams")} <= set(CLOSED)
    assert len(CLOSED) > 50


@pytest.mark.parametrize(("method", "path"), CLOSED)
async def test_strangers_are_refused(client: httpx2.AsyncClient, method: str, path: str) -> None:
    answer = await client.request(method, re.sub(r"\{[^}]+\}", "x", path))
    if path.startswith("/v1/"):
        assert answer.status_code == 401
        if method != "HEAD":
            assert answer.json()["code"] == "unauthenticated"
        assert answer.headers["www-authenticate"].startswith("Bearer")
    else:
        assert answer.status_code in (303, 401), path
        assert answer.headers.get("location", "/login").startswith("/login")


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer"},
        {"Authorization": ""},
        {"Cookie": f"{COOKIE}={TOKEN}"},
        {"Cookie": f"{COOKIE}=99999999999.{'0' * 64}"},
        {"Authorization": "Bearer wrong", "Cookie": f"{COOKIE}={session_value(TOKEN)}"},
    ],
)
async def test_wrong_credentials(client: httpx2.AsyncClient, headers: dict[str, str]) -> None:
    assert (await client.get("/v1/whoami", headers=headers)).status_code == 401


@pytest.mark.parametrize(("token", "caller"), [(TOKEN, "admin"), ("wrong", None)])
async def test_the_line_of_a_request_says_who_called(
    client: httpx2.AsyncClient, token: str, caller: str | None
) -> None:
    with capture_logs(processors=[merge_contextvars]) as lines:
        await client.get("/v1/whoami", headers={"Authorization": f"Bearer {token}"})
    (line,) = [line for line in lines if line["event"] == "request"]
    assert (line["route"], line.get("caller")) == ("/v1/whoami", caller)


async def test_so_does_that_of_one_who_may_not(
    client: httpx2.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("atoll.auth.doors.is_permitted", lambda *_: False)
    with capture_logs(processors=[merge_contextvars]) as lines:
        answer = await client.get("/v1/teams", headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 403
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line.get("caller") == "admin"


async def test_without_a_token_set_nobody_comes_in() -> None:
    transport = httpx2.ASGITransport(build_api(Settings(admin_token=None)))
    async with httpx2.AsyncClient(transport=transport, base_url="http://atoll.test") as nobody:
        for token in ("", "None", "x"):
            answer = await nobody.get("/v1/whoami", headers={"Authorization": f"Bearer {token}"})
            assert answer.status_code == 401


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "http://atoll.test"}, True),
        ({}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Origin": "http://elsewhere.test"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://atoll.test"}, False),
    ],
)
async def test_a_cookie_changes_nothing_from_another_site(
    client: httpx2.AsyncClient, headers: dict[str, str], allowed: bool
) -> None:
    client.cookies.set(COOKIE, session_value(TOKEN))
    answer = await client.post("/v1/teams", json={"name": "x"}, headers=headers)
    # Past the door there are no use cases in this test, so who is let in crashes.
    assert answer.status_code == (500 if allowed else 403)
    if not allowed:
        assert answer.json()["code"] == "cross_site"
    else:
        assert answer.json()["code"] == "internal"
        assert "use_cases" not in answer.text


@pytest.mark.parametrize(
    ("headers", "allowed"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "http://atoll.test"}, True),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://elsewhere.test"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://atoll.test"}, False),
        ({"Origin": "http://elsewhere.test"}, False),
        ({"Origin": "null"}, False),
        ({}, False),
    ],
)
async def test_another_site_cannot_sign_anybody_in(
    client: httpx2.AsyncClient, headers: dict[str, str], allowed: bool
) -> None:
    answer = await client.post("/login", data={"token": TOKEN}, headers=headers)
    assert answer.status_code == (303 if allowed else 403)
    assert (COOKIE in answer.cookies) == allowed
    if not allowed:
        assert "another site" in answer.text


def test_sessions_end_and_belong_to_one_token() -> None:
    value = session_value(TOKEN, now=1000)
    assert TOKEN not in value
    assert is_live(value, TOKEN, now=1000)
    assert not is_live(value, "another-token", now=1000)
    assert not is_live(value, TOKEN, now=1000 + 12 * 3600)
    later = str(int(value.partition(".")[0]) + 1)
    assert not is_live(later + value[len(later) :], TOKEN, now=1000)
    assert not is_live("٣.x", TOKEN)
