"""Whose work a line of the gateway's log is about."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from builders.gateway_site import ADMIN, Site, token_of

Lines = list[Any]


@pytest.fixture
async def lines(site: Site) -> AsyncIterator[Lines]:
    """What the gateway writes; it runs in this process."""
    with capture_logs(processors=[merge_contextvars]) as written:
        yield written


async def whose(lines: Lines, request: str) -> tuple[str | None, ...]:
    """Team, virtual cluster and caller on the line of this request; it is written after the answer."""
    async with asyncio.timeout(30):
        while True:
            for line in lines:
                if (line["event"], line.get("request_id")) == ("request", request):
                    return tuple(line.get(k) for k in ("team", "virtual_cluster", "caller"))
            await asyncio.sleep(0.01)


async def test_lines_of_requests_say_team_virtual_cluster_and_caller(
    site: Site, lines: Lines
) -> None:
    token, _ = await token_of(site.cluster, "viewer")
    pods = "/kubernetes/api/v1/pods"
    for request, (bearer, path, status) in {
        "listed-ray": (ADMIN, "/ray-clusters", 200),
        "listed-pods": (token, pods, 200),
        "a-stranger": ("wrong", "/ray-clusters", 401),
        "not-a-tenant": (ADMIN, pods, 401),
    }.items():
        async with site.client(bearer) as client:
            answer = await client.get(path, headers={"X-Request-Id": request})
        assert answer.status_code == status, answer.text
    assert await whose(lines, "listed-ray") == ("blue", "demo", "admin")
    assert await whose(lines, "listed-pods") == ("blue", "demo", None)
    # The team is not looked up for who is not let in.
    assert await whose(lines, "a-stranger") == (None, "demo", None)
    assert await whose(lines, "not-a-tenant") == (None, "demo", None)
