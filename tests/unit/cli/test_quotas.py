"""What `atoll quota` sends, shows, asks, and how it ends."""

import json
from typing import Any

import pytest

from atoll.errors import ConflictError
from fakes.atoll_api import FakeApi

from .conftest import Run

QUOTA = {
    "team": "vision", "revision": "abc.3",
    "quota": {"cpu": {"limit": "16", "guaranteed": "4"}, "pods": {"limit": "50"}},
    "use": [
        {"resource": "cpu", "limit": "16", "guaranteed": "4", "reserved": "8", "used": "3",
         "free": "2", "boundBy": "research"},
        {"resource": "memory", "reserved": "0", "free": "1Ti", "boundBy": "research"},
    ],
}  # fmt: skip


def preview(*, over: str = "0") -> dict[str, Any]:
    holder = {"virtualCluster": "lab", "team": "vision", "demand": {"cpu": "8"}, "rayClusters": []}
    line = {
        "resource": "cpu", "limitBefore": "16", "limitAfter": "4", "reserved": "8", "over": over,
    }  # fmt: skip
    return {
        "team": "vision", "revision": "abc.3", "lines": [line], "wouldBeAdmitted": [],
        "noLongerFit": [holder] if over != "0" else [], "needsConfirmation": over != "0",
        "confirm": "fp-1",
    }  # fmt: skip


@pytest.fixture
def api(api: FakeApi) -> FakeApi:
    api.when("GET", "teams/vision/quota", QUOTA)
    api.when("PUT", "teams/vision/quota", QUOTA)
    api.when("POST", "teams/vision/quota:preview", preview())
    return api


def test_get_shows_what_is_free_and_who_binds_it(api: FakeApi, cli: Run) -> None:
    head, cpu, memory = cli("quota", "get", "vision").out.splitlines()
    assert head.split() == [
        "RESOURCE",
        "LIMIT",
        "GUARANTEED",
        "RESERVED",
        "USED",
        "FREE",
        "BOUND",
        "BY",
    ]
    assert cpu.split() == ["cpu", "16", "4", "8", "3", "2", "research"]
    assert memory.split() == ["memory", "-", "-", "0", "-", "1Ti", "research"]
    assert json.loads(cli("quota", "get", "vision", "-o", "json").out)["revision"] == "abc.3"
    assert cli("quota", "get", "vision", "-o", "name").out == "cpu\nmemory\n"


def test_set_changes_the_named_lines_of_what_was_read(api: FakeApi, cli: Run) -> None:
    ended = cli("quota", "set", "vision", "--limit", "cpu=32,memory=64Gi", "--guaranteed", "memory=8Gi",
                "--remove", "pods", "--note", "why")  # fmt: skip
    assert ended.code == 0, ended.err
    (put,) = [r for r in api.asked if r.method == "PUT"]
    assert put.headers["if-match"] == '"abc.3"'
    assert json.loads(put.content) == {
        "note": "why",
        "quota": {
            "cpu": {"limit": "32", "guaranteed": "4"},
            "memory": {"limit": "64Gi", "guaranteed": "8Gi"},
        },
    }
    assert "confirm" not in str(put.url)


def test_a_change_that_puts_the_team_over_is_shown_and_not_made(api: FakeApi, cli: Run) -> None:
    api.when("POST", "teams/vision/quota:preview", preview(over="4"))
    ended = cli("quota", "set", "vision", "--limit", "cpu=4")
    assert ended.code == 10
    assert "cpu: 8 reserved of 4, 4 over" in ended.err
    assert "would not be let in again: lab (cpu=8)" in ended.err
    assert "--confirm fp-1" in ended.err
    assert not [r for r in api.asked if r.method == "PUT"]
    for flags in (("--yes",), ("--confirm", "fp-1")):
        assert cli("quota", "set", "vision", "--limit", "cpu=4", *flags).code == 0
    sent = [r.url.params["confirm"] for r in api.asked if r.method == "PUT"]
    assert sent == ["fp-1", "fp-1"]


def test_an_api_that_wants_another_confirmation_ends_with_its_own_code(
    api: FakeApi, cli: Run
) -> None:
    worse = ConflictError("It got worse.", code="confirmation_needed", extra={"preview": {"x": 1}})
    api.when("PUT", "teams/vision/quota", worse)
    ended = cli("quota", "set", "vision", "--limit", "cpu=4")
    assert ended.code == 10
    assert "It got worse." in ended.err


def test_a_preview_changes_nothing(api: FakeApi, cli: Run) -> None:
    api.when("POST", "teams/vision/quota:preview", preview(over="4"))
    ended = cli("quota", "preview", "vision", "--limit", "cpu=4")
    assert ended.code == 0
    assert "16 → 4" in ended.out
    assert json.loads(cli("quota", "preview", "vision", "--limit", "cpu=4", "-o", "json").out)[
        "needsConfirmation"
    ]
    assert {r.method for r in api.asked} == {"GET", "POST"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--limit, --guaranteed or --remove"),
        (("--limit", "cpu"), "NAME=VALUE"),
        (("--limit", "cpu=many"), "--limit cpu=many: 'many' is no amount; write 16, 500m or 64Gi"),
        (("--remove", "gpu"), "--remove gpu: the quota of vision names cpu, pods"),
        (("--guaranteed", "memory=1Gi"), "--limit memory=AMOUNT"),
    ],
)
def test_what_makes_no_sense_ends_with_2(
    api: FakeApi, cli: Run, arguments: tuple[str, ...], words: str
) -> None:
    ended = cli("quota", "set", "vision", *arguments)
    assert ended.code == 2
    assert words in ended.err
    assert not [r for r in api.asked if r.method == "PUT"]


REVISION = {
    "number": 3, "team": "vision", "by": "kubectl-edit", "at": "2026-01-01T00:00:00Z",
    "cause": "changed", "note": "why", "requestId": "", "quota": {"cpu": {"limit": "16"}},
    "changes": [{"resource": "cpu", "before": {"limit": "8"}, "after": {"limit": "16"}}],
}  # fmt: skip


def test_history_and_revert(api: FakeApi, cli: Run) -> None:
    api.when("GET", "teams/vision/quota/history", {"items": [REVISION]})
    api.when("POST", "teams/vision/quota:revert", QUOTA)
    out = cli("quota", "history", "vision").out
    assert "kubectl-edit" in out
    assert "cpu 8 → 16" in out
    assert cli("quota", "revert", "vision", "3", "--note", "back").code == 0
    (revert,) = [r for r in api.asked if r.url.path.endswith(":revert")]
    assert json.loads(revert.content) == {"number": 3, "note": "back"}
    assert revert.headers["if-match"] == '"abc.3"'
    unknown = cli("quota", "revert", "vision", "9")
    assert (unknown.code, "no number 9" in unknown.err) == (2, True)


def asked(state: str = "pending", **more: str) -> dict[str, Any]:
    return {
        "name": "vision-1", "uid": "u", "revision": "5", "generation": 1,
        "createdAt": "2026-01-01T00:00:00Z", "state": state, "message": "",
        "spec": {"team": "vision", "quota": {"cpu": "32"}, "requestedBy": "ada", **more},
        "status": {}, "lines": [{"resource": "cpu", "asked": "32", "now": "16"}],
    }  # fmt: skip


def test_ask_list_and_decide(api: FakeApi, cli: Run) -> None:
    api.when("POST", "quota-requests", asked())
    api.when("GET", "quota-requests", {"items": [asked()]})
    api.when("GET", "quota-requests/vision-1", asked())
    api.when("POST", "quota-requests/vision-1:approve", asked("applied"))
    api.when("POST", "quota-requests/vision-1:refuse", asked("refused", note="no"))
    made = cli("quota", "request", "vision", "--limit", "cpu=32", "--reason", "more", "-o", "name")
    assert (made.code, made.out) == (0, "vision-1\n")
    assert "cpu 16 → 32" in cli("quota", "requests", "--state", "pending").out
    assert cli("quota", "requests", "--state", "odd").code == 2
    assert "is applied" in cli("quota", "approve", "vision-1", "--note", "ok").err
    assert "is refused" in cli("quota", "refuse", "vision-1", "--note", "no").err
    decided = [r for r in api.asked if r.method == "POST" and ":" in r.url.path]
    assert [(r.headers["if-match"], json.loads(r.content)) for r in decided] == [
        ('"5"', {"note": "ok"}), ('"5"', {"note": "no"}),
    ]  # fmt: skip


def test_a_closed_request_ends_with_7(api: FakeApi, cli: Run) -> None:
    api.when("GET", "quota-requests/vision-1", asked("refused"))
    closed = ConflictError("It is refused.", code="request_closed")
    api.when("POST", "quota-requests/vision-1:approve", closed)
    assert cli("quota", "approve", "vision-1").code == 7


def test_a_name_that_is_not_there_ends_with_6(api: FakeApi, cli: Run) -> None:
    api.when("GET", "teams", {"items": []})
    api.when("GET", "quota-requests", {"items": [asked()]})
    assert cli("quota", "get", "nobody").code == 6
    assert "vision-1" in cli("quota", "approve", "vision-2").err


def test_what_changes_nothing_says_so_and_a_stale_confirmation_is_shown_anew(
    api: FakeApi, cli: Run
) -> None:
    assert "stays as it is" in cli("quota", "set", "vision", "--limit", "cpu=16").err
    api.when("PUT", "teams/vision/quota", QUOTA | {"quota": {"cpu": {"limit": "32"}}})
    assert "Quota of vision set." in cli("quota", "set", "vision", "--limit", "cpu=32").err
    api.when("POST", "teams/vision/quota:preview", preview(over="4"))
    stale = cli("quota", "set", "vision", "--limit", "cpu=4", "--confirm", "old")
    assert stale.code == 10
    assert "--confirm old is not what would happen now" in stale.err
    assert "cpu: 8 reserved of 4, 4 over" in stale.err
    assert "--confirm fp-1" in stale.err


def test_what_is_over_is_told_with_the_quota(api: FakeApi, cli: Run) -> None:
    over = {"resource": "cpu", "limit": "2", "reserved": "3", "free": "0", "boundBy": "vision"}
    api.when("GET", "teams/vision/quota", QUOTA | {"use": [over, *QUOTA["use"]]})
    told = cli("quota", "get", "vision")
    assert told.err == "cpu: 3 reserved of 2, 1 over; what runs stays, and nothing of it grows\n"
    assert cli("quota", "get", "vision", "-o", "json").err == ""


def test_a_decided_request_tells_what_was_asked_and_what_hinders_it(api: FakeApi, cli: Run) -> None:
    def request(name: str, state: str, **more: str) -> dict[str, Any]:
        spec = {"team": "vision", "quota": {"cpu": "12"}, "note": more.pop("note", "")}
        line = {"resource": "cpu", "asked": "12", "now": "8"}
        return {
            "name": name, "uid": "u", "revision": "r", "generation": 1, "createdAt": None,
            "spec": spec, "status": {}, "state": state, "lines": [line], **more,
        }  # fmt: skip

    items = [
        request("a", "pending"),
        request("b", "failed", note="until June", message="more than the limit above"),
        request("c", "applied", note="until June", message="The team's quota was raised"),
    ]
    api.when("GET", "quota-requests", {"items": items})
    ended = cli("quota", "requests")
    _, pending, failed, applied = ended.out.splitlines()
    assert "cpu 8 → 12" in pending
    assert "→" not in failed + applied
    assert "until June; more than the limit above" in failed
    assert "was raised" not in applied
