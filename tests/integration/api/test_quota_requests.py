"""Requests for a larger quota over HTTP, also decided by kubectl and after a crash half-way."""

import uuid
from typing import Any

import httpx2
import pytest

from waiting import until

from .conftest import MakeTeam
from .test_quotas import ATOLL, history, limits, merge, put

PATH = "/v1/quota-requests"


def ask(api: httpx2.Client, team: str, **quota: str) -> dict[str, Any]:
    body = {"team": team, "quota": quota, "reason": "more to do"}
    answer = api.post(PATH, json=body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


def decide(
    api: httpx2.Client, name: str, verdict: str, note: str = "", etag: str = "*"
) -> httpx2.Response:
    return api.post(f"{PATH}/{name}:{verdict}", json={"note": note}, headers={"If-Match": etag})


def read(api: httpx2.Client, name: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"{PATH}/{name}").raise_for_status().json()
    return found


def cpu_of(api: httpx2.Client, team: str) -> str:
    found: str = api.get(f"/v1/teams/{team}/quota").json()["quota"]["cpu"]["limit"]
    return found


def test_ask_approve_and_ask_again(api: httpx2.Client, make_team: MakeTeam) -> None:
    team = make_team(cpu="4", memory="8Gi")
    made = ask(api, team, cpu="8")
    name = made["name"]
    assert (made["state"], made["spec"]["requestedBy"]) == ("pending", "admin")
    assert made["lines"] == [{"resource": "cpu", "asked": "8", "now": "4"}]
    assert [r["name"] for r in api.get(PATH, params={"team": team}).json()["items"]] == [name]
    assert decide(api, name, "approve", etag='"1"').status_code == 412
    assert api.post(f"{PATH}/{name}:approve", json={}).status_code == 428
    done = decide(api, name, "approve", "go ahead", f'"{read(api, name)["revision"]}"')
    assert done.status_code == 200, done.text
    assert done.json()["state"] == "applied"
    assert api.get(f"/v1/teams/{team}/quota").json()["quota"] == {
        "cpu": {"limit": "8"}, "memory": {"limit": "8Gi"},
    }  # fmt: skip
    newest = history(api, team)[0]
    assert (newest["cause"], newest["request"], newest["note"], newest["by"]) == (
        "requested", name, "go ahead", "admin",
    )  # fmt: skip
    assert decide(api, name, "approve").json()["state"] == "applied"
    assert decide(api, name, "refuse").json()["code"] == "request_closed"
    assert len(history(api, team)) == 2
    too_little = api.post(PATH, json={"team": team, "quota": {"cpu": "8", "pods": "3", "x": "1"}})
    assert too_little.status_code == 422
    assert {e["pointer"] for e in too_little.json()["errors"]} == {
        "/quota/cpu", "/quota/pods", "/quota/x",
    }  # fmt: skip


def test_refuse_with_a_note(api: httpx2.Client, make_team: MakeTeam) -> None:
    team = make_team(cpu="4")
    name = ask(api, team, cpu="9")["name"]
    assert decide(api, name, "refuse", "not this month").json()["state"] == "refused"
    assert read(api, name)["spec"]["note"] == "not this month"
    assert decide(api, name, "approve").json()["code"] == "request_closed"
    assert cpu_of(api, team) == "4"


def test_one_key_is_one_request(api: httpx2.Client, make_team: MakeTeam) -> None:
    team = make_team(cpu="4")
    key = {"Idempotency-Key": str(uuid.uuid4())}
    body = {"team": team, "quota": {"cpu": "5"}}
    names = {api.post(PATH, json=body, headers=key).json()["name"] for _ in range(3)}
    assert len(names) == 1
    dry = api.post(PATH, json=body, params={"dry_run": "server"})
    assert dry.status_code == 200
    assert len(api.get(PATH, params={"team": team}).json()["items"]) == 1


def test_what_nobody_needs_any_more_says_so(
    api: httpx2.Client, make_team: MakeTeam, kube: httpx2.Client
) -> None:
    team = make_team(cpu="4")
    obsolete, expired = (ask(api, team, cpu=cpu)["name"] for cpu in ("6", "9"))
    put(api, team, limits(cpu="7")).raise_for_status()
    merge(kube, f"quotarequests/{expired}", {"spec": {"expiresAt": "2020-01-01T00:00:00Z"}})
    assert (read(api, obsolete)["state"], read(api, expired)["state"]) == ("obsolete", "expired")
    for name, words in ((obsolete, "as much already"), (expired, "2020-01-01")):
        refused = decide(api, name, "approve")
        assert (refused.status_code, refused.json()["code"]) == (409, "request_closed")
        assert words in refused.json()["detail"]
    found = api.get(PATH, params={"team": team, "state": "expired"}).json()["items"]
    assert [r["name"] for r in found] == [expired]


def test_an_approval_that_the_parent_does_not_allow_is_refused_with_the_number(
    api: httpx2.Client, make_team: MakeTeam
) -> None:
    top = make_team(cpu="8")
    body = {"name": f"{top}-a", "spec": {"parent": top, "quota": {"cpu": {"limit": "4"}}}}
    api.post("/v1/teams", json=body).raise_for_status()
    name = ask(api, f"{top}-a", cpu="10")["name"]
    refused = decide(api, name, "approve")
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["limit"] == "8"
    assert read(api, name)["state"] == "pending"


def test_what_is_asked_and_decided_cannot_be_rewritten(
    api: httpx2.Client, make_team: MakeTeam, kube: httpx2.Client
) -> None:
    team = make_team(cpu="4")
    name = ask(api, team, cpu="9")["name"]
    with pytest.raises(httpx2.HTTPStatusError, match="422"):
        merge(kube, f"quotarequests/{name}", {"spec": {"quota": {"cpu": "99"}}})
    decide(api, name, "refuse")
    with pytest.raises(httpx2.HTTPStatusError, match="422"):
        merge(kube, f"quotarequests/{name}", {"spec": {"decision": "Approved"}})


def test_a_decision_that_was_written_and_not_carried_out_is_finished(
    api: httpx2.Client, make_team: MakeTeam, kube: httpx2.Client
) -> None:
    """As by kubectl, and as an API process that dies right after writing the decision leaves it."""
    team = make_team(cpu="4")
    name = ask(api, team, cpu="9")["name"]
    decision = {"decision": "Approved", "decidedBy": "ada", "note": "by hand"}
    merge(kube, f"quotarequests/{name}", {"spec": decision})
    until(lambda: read(api, name)["state"] == "applied", "the approval is carried out")
    assert cpu_of(api, team) == "9"
    assert (history(api, team)[0]["by"], history(api, team)[0]["request"]) == ("ada", name)


def test_a_grant_that_was_written_and_not_noted_is_not_given_twice(
    api: httpx2.Client, make_team: MakeTeam, kube: httpx2.Client
) -> None:
    """A process died after the team's quota was raised and before the request's status was written;
    an admin has lowered the quota since.
    """
    team = make_team(cpu="4")
    name = ask(api, team, cpu="9")["name"]
    uid = kube.get(f"{ATOLL}/quotarequests/{name}").json()["metadata"]["uid"]
    notes = {"annotations": {"atoll.dev/granted-requests": f"other,{uid}"}}
    merge(kube, f"teams/{team}", {"metadata": notes, "spec": limits(cpu="5")})
    merge(kube, f"quotarequests/{name}", {"spec": {"decision": "Approved"}})
    until(lambda: read(api, name)["state"] == "applied", "it is told as applied")
    assert cpu_of(api, team) == "5"


def test_an_approval_that_cannot_be_carried_out_says_why(
    api: httpx2.Client, make_team: MakeTeam, kube: httpx2.Client
) -> None:
    top = make_team(cpu="8")
    body = {"name": f"{top}-a", "spec": {"parent": top, "quota": {"cpu": {"limit": "4"}}}}
    api.post("/v1/teams", json=body).raise_for_status()
    name = ask(api, f"{top}-a", cpu="10")["name"]
    merge(kube, f"quotarequests/{name}", {"spec": {"decision": "Approved"}})
    until(lambda: read(api, name)["state"] == "failed", "it is told as failed")
    assert "limit of the team above" in read(api, name)["message"]
    put(api, top, limits(cpu="12")).raise_for_status()
    until(lambda: read(api, name)["state"] == "applied", "it is tried again")
    assert cpu_of(api, f"{top}-a") == "10"
