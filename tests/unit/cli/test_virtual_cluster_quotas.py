"""`atoll vc update` with a quota below what is used: shown, asked about, and how it ends."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from atoll.errors import ConfirmationNeededError
from fakes.atoll_api import FakeApi, virtual_cluster

from .conftest import Run

LOWER = ("vc", "update", "lab", "--quota", "cpu=4", "--no-wait")
LINE = {"resource": "cpu", "limitBefore": "8", "limitAfter": "4", "used": "5", "over": "1"}
SEEN: dict[str, Any] = {
    "virtualCluster": "lab", "revision": "9", "lines": [LINE], "noLongerFit": [], "refused": [],
    "needsConfirmation": True, "confirm": "fp-1",
}  # fmt: skip


REFUSED = ConfirmationNeededError("More of virtual cluster 'lab' is used.", extra={"preview": SEEN})


@pytest.fixture
def api(api: FakeApi) -> FakeApi:
    """It lets through what carries the confirmation of its preview."""

    def patched(request: httpx2.Request) -> httpx2.Response:
        if request.url.params.get("confirm") == "fp-1" or "dry_run" in request.url.params:
            return httpx2.Response(200, json=virtual_cluster("lab"))
        return httpx2.Response(REFUSED.status, json=REFUSED.problem())

    api.when("GET", "virtual-clusters/lab", virtual_cluster("lab"))
    api.when("PATCH", "virtual-clusters/lab", patched)
    return api


def sent(api: FakeApi) -> list[str | None]:
    """The confirmations of the PATCHes, one after the other."""
    return [r.url.params.get("confirm") for r in api.asked if r.method == "PATCH"]


def test_what_is_over_is_shown_and_not_made_where_nobody_is_to_ask(api: FakeApi, cli: Run) -> None:
    ended = cli(*LOWER)
    assert ended.code == 10
    assert "cpu: 5 used of 4, 1 over" in ended.err
    assert "More of lab is used than the new limits allow, and nobody is there to ask." in ended.err
    assert "next: the same with --confirm fp-1, or with --yes" in ended.err
    assert sent(api) == [None]


def test_it_is_made_when_confirmed_by_name_or_by_yes(api: FakeApi, cli: Run) -> None:
    named = cli(*LOWER, "--confirm", "fp-1")
    assert (named.code, sent(api)) == (0, ["fp-1"]), named.err
    assert "over" not in named.err
    agreed = cli(*LOWER, "--yes")
    assert agreed.code == 0, agreed.err
    assert "cpu: 5 used of 4, 1 over" in agreed.err
    assert sent(api) == ["fp-1", None, "fp-1"]
    assert {r.headers["if-match"] for r in api.asked if r.method == "PATCH"} == {'"9"'}


def test_what_was_confirmed_before_it_got_worse_is_shown_anew(api: FakeApi, cli: Run) -> None:
    stale = cli(*LOWER, "--confirm", "old")
    assert stale.code == 10
    assert "--confirm old is not what would happen now:" in stale.err
    assert "cpu: 5 used of 4, 1 over" in stale.err
    assert sent(api) == ["old"]


def test_a_dry_run_asks_nobody(api: FakeApi, cli: Run) -> None:
    assert cli(*LOWER, "--dry-run").code == 0
    assert sent(api) == [None]


def test_a_preview_names_what_confirms_it(api: FakeApi, cli: Run) -> None:
    api.when("POST", "virtual-clusters/lab/quota:preview", SEEN)
    ended = cli("vc", "preview", "lab", "--quota", "cpu=4")
    assert ended.code == 0, ended.err
    assert "to be confirmed with: --confirm fp-1" in ended.err
    assert "would be accepted" not in ended.err


def test_apply_asks_nobody_and_names_the_command_that_does(
    api: FakeApi, cli: Run, tmp_path: Path
) -> None:
    file = tmp_path / "lab.yaml"
    file.write_text(
        "kind: VirtualCluster\nmetadata: {name: lab}\nspec: {team: vision, quota: {cpu: 4}}\n"
    )
    ended = cli("apply", "-f", str(file), "--no-wait")
    assert ended.code == 10
    assert "More of virtual cluster 'lab' is used." in ended.err
    assert "next: atoll vc update lab --quota NAME=AMOUNT, which shows it and asks" in ended.err
