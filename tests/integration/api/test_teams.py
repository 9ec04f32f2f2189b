"""Teams over HTTP: their life, and what is refused of them in plain words."""

from typing import Any

import httpx2
import pytest

from builders.api_process import profile

from .conftest import MakeTeam


def test_team_life(api: httpx2.Client) -> None:
    body = {"name": "life", "spec": {"quota": {"cpu": {"limit": 4}}, "displayName": "Life"}}
    made = api.post("/v1/teams", json=body)
    assert (made.status_code, made.headers["location"]) == (201, "/v1/teams/life")
    assert api.post("/v1/teams", json=body).json()["code"] == "exists"
    path, etag = "/v1/teams/life", made.headers["etag"]
    changed = api.patch(
        path, json={"spec": {"quota": {"cpu": {"limit": "8"}}}}, headers={"If-Match": etag}
    )
    assert changed.status_code == 200
    spec = changed.json()["spec"]
    assert (spec["displayName"], spec["quota"]) == ("Life", {"cpu": {"limit": "8"}})
    assert api.delete(path, headers={"If-Match": etag}).status_code == 412
    refused = api.patch(path, json={"name": "x", "spec": {}}, headers={"If-Match": "*"})
    assert refused.json()["errors"][0]["pointer"] == "/name"
    assert api.delete(path, headers={"If-Match": "*"}).status_code == 204
    assert api.get(path).json()["code"] == "not_found"


@pytest.mark.parametrize(
    ("spec", "pointer"),
    [
        ({"quota": {"cpu": {"limit": "many"}}}, "/spec/quota/cpu/limit"),
        ({"quota": {"cpu": {"limit": "2", "guaranteed": "3"}}}, "/spec/quota/cpu/guaranteed"),
        ({"quota": {"gpu": {"limit": "2"}}}, "/spec/quota/gpu"),
        ({"members": [{"name": "ann"}, {"name": "ann"}]}, "/spec/members/1/name"),
        ({"members": [{"name": "ann", "role": "king"}]}, "/spec/members/0/role"),
        ({"profiles": ["default", "nope"]}, "/spec/profiles/1"),
    ],
)
def test_bad_teams(api: httpx2.Client, spec: dict[str, Any], pointer: str) -> None:
    answer = api.post("/v1/teams", json={"name": "bad-team", "spec": spec})
    assert answer.status_code == 422
    assert [e["pointer"] for e in answer.json()["errors"]] == [pointer]


def test_wrong_fields_are_told_in_plain_words_wherever_they_are(api: httpx2.Client) -> None:
    spec = {"quota": {"cpu": "4"}, "members": "ann", "displayName": 5}
    told = {
        e["pointer"]: e["detail"]
        for e in api.post("/v1/teams", json={"name": "plain", "spec": spec}).json()["errors"]
    }
    assert told == {
        "/spec/quota/cpu": 'must be an object of names and values; "4" was given',
        "/spec/members": 'must be a list; "ann" was given',
        "/spec/displayName": "must be text; 5 was given",
    }
    (query,) = api.get("/v1/teams", params={"limit": "many"}).json()["errors"]
    assert query == {
        "pointer": "/query/limit",
        "detail": 'must be a whole number; "many" was given',
    }
    (body,) = api.post("/v1/teams", json=[1]).json()["errors"]
    assert body["detail"] == "must be an object of names and values; a list was given"


def test_a_team_may_be_given_profiles_that_are_there_and_keeps_one_that_is_deleted(
    api: httpx2.Client, make_team: MakeTeam
) -> None:
    path, anyway = f"/v1/teams/{make_team()}", {"If-Match": "*"}

    def patch(**spec: Any) -> httpx2.Response:
        return api.patch(path, json={"spec": spec}, headers=anyway)

    api.post("/v1/profiles", json=profile("passing")).raise_for_status()
    assert patch(profiles=["default", "passing"]).status_code == 200
    refused = patch(profiles=["nope"])
    assert refused.status_code == 422
    (problem,) = refused.json()["errors"]
    assert problem["pointer"] == "/spec/profiles/0"
    assert "there is no profile 'nope'" in problem["detail"]
    assert "default" in problem["detail"]
    assert api.get(path).json()["spec"]["profiles"] == ["default", "passing"]
    api.delete("/v1/profiles/passing", headers=anyway).raise_for_status()
    assert patch(displayName="Later").status_code == 200
