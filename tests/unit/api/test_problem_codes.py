"""The page of problem codes: all of them, each with its meaning, its cause and the way out."""

import re
from html import unescape
from pathlib import Path

import httpx2
import pytest

from atoll.api.problem_codes import PROBLEM_CODES, ProblemCode
from atoll.errors import AtollError
from atoll.main import build_api
from atoll.settings import Settings

REFERENCE = Path(__file__).parents[3] / "docs" / "reference" / "problems.md"


def documented() -> dict[str, tuple[str, str]]:
    """code -> (status, who) of the reference's table of the API and the gateway."""
    text = REFERENCE.read_text().partition("## Of the API and the gateway")[2].partition("##")[0]
    rows = re.findall(r"^\| `([a-z_]+)` \| ([^|]+) \| ([^|]+) \|", text, re.MULTILINE)
    return {code: (status.strip(), who.strip()) for code, status, who in rows}


def test_the_page_and_the_reference_name_the_same_codes() -> None:
    told = {one.code: (one.status, one.who) for one in PROBLEM_CODES}
    assert len(told) == len(PROBLEM_CODES) > 25
    assert told == documented()


def _kinds(kind: type[AtollError]) -> set[type[AtollError]]:
    return {kind}.union(*(_kinds(k) for k in kind.__subclasses__()))


def test_the_status_of_a_code_is_that_of_its_error() -> None:
    by_code = {kind.code: kind.status for kind in _kinds(AtollError)}
    for one in PROBLEM_CODES:
        if one.code in by_code:
            assert str(by_code[one.code]) in one.status


@pytest.mark.parametrize("one", PROBLEM_CODES, ids=lambda one: one.code)
async def test_every_code_has_a_place_with_all_of_it(one: ProblemCode) -> None:
    transport = httpx2.ASGITransport(build_api(Settings()))
    async with httpx2.AsyncClient(transport=transport, base_url="http://atoll.test") as client:
        page = (await client.get("/docs/problems")).text
    section = page.partition(f'<section id="{one.code}"')[2].partition("</section>")[0]
    section = unescape(section)
    for text in (one.meaning, one.cause, one.way_out):
        assert text.endswith(".")
        assert text in section
    assert one.who in section
