"""Virtual clusters that the API refuses: which field, in which words, and that nothing is left behind."""

from typing import Any

import httpx2
import pytest

from builders.api_process import TEMPLATE, team_status, wanted

from .conftest import MakeTeam


def test_quota_refusal_has_every_number(api: httpx2.Client, make_team: MakeTeam) -> None:
    team = make_team(cpu="4")
    api.post("/v1/virtual-clusters", json=wanted("holder", team, quota={"cpu": "3"}))
    answer = api.post("/v1/virtual-clusters", json=wanted("too-much", team, quota={"cpu": "2"}))
    assert answer.status_code == 409
    problem = answer.json()
    assert problem["code"] == "quota_exceeded"
    assert problem["shortages"] == [
        {
            "resource": "cpu",
            "asked": "2",
            "free": "1",
            "limit": "4",
            "held": {"holder": "3"},
            "team": "",
            "kept": "0",
        }
    ]
    assert problem["errors"][0]["pointer"] == "/spec/quota/cpu"
    assert "admin" in problem["detail"]
    assert api.get("/v1/virtual-clusters/too-much").status_code == 404
    assert sorted(team_status(api, team)["reservations"]) == ["holder"]


@pytest.mark.parametrize(
    ("spec", "pointer", "words"),
    [
        ({"quota": {"cpu": "-1"}}, "/spec/quota/cpu", "not a quantity"),
        ({"quota": {"cpu": "1e999999999"}}, "/spec/quota/cpu", "not a quantity"),
        ({"quota": {"cpu": "٣"}}, "/spec/quota/cpu", "not a quantity"),
        ({"quota": {"cpu": "1 core"}}, "/spec/quota/cpu", "not a quantity"),
        ({"quota": {}}, "/spec/quota/cpu", "has a limit on cpu"),
        ({"quota": {"cpu": "1", "cpus": "1"}}, "/spec/quota/cpus", "not a resource"),
        ({"profile": "nowhere"}, "/spec/profile", "no profile"),
        ({"mode": "both"}, "/spec/mode", "dedicated"),
        ({"colour": "red"}, "/spec/colour", "no such field"),
        ({"mode": "shared", "replicaSets": {"4c8g": 1}}, "/spec/replicaSets", "owns no nodes"),
        (
            {"mode": "shared", "replicaSets": {}, "quota": {"cpu": "1"}},
            "/spec/quota/memory",
            "could fill the host",
        ),
        (
            {"mode": "dedicated", "replicaSets": {"4c8g": 3}},
            "/spec/replicaSets/4c8g",
            "the host has 0",
        ),
        ({"replicaSets": {}}, "/spec/replicaSets", "names no nodes"),
        ({"replicaSets": {TEMPLATE: 0}}, "/spec/replicaSets", f"there are: {TEMPLATE} (1)"),
        ({"mode": "dedicated", "replicaSets": {"4c8g": -1}}, "/spec/replicaSets/4c8g", "negative"),
        (
            {
                "values": {
                    "controlPlane": {"backingStore": {"etcd": {"embedded": {"enabled": True}}}}
                }
            },
            "/spec/values/controlPlane/backingStore/etcd/embedded",
            "does not start",
        ),
        ({"values": {"sleepMode": {"enabled": True}}}, "/spec/values/sleepMode", "ignores"),
        ({"rayClusters": [{"name": "a" * 54}]}, "/spec/rayClusters/0/name", "53"),
        ({"rayClusters": [{"name": "a"}, {"name": "a"}]}, "/spec/rayClusters/1/name", "twice"),
        (
            {"rayClusters": [{"name": "a", "workers": -1}]},
            "/spec/rayClusters/0/workers",
            "at least 0",
        ),
        ({"rayClusters": [{"name": "a", "workers": 9}]}, "/spec/rayClusters", "9500m"),
        (
            {"rayClusters": [{"name": "a"}, {"name": "b", "headCpu": "half"}]},
            "/spec/rayClusters/1/headCpu",
            "'half' is not a quantity",
        ),
        (
            {"rayClusters": [{"name": "a", "headMemory": "-2Gi"}]},
            "/spec/rayClusters/0/headMemory",
            "'-2Gi' is not a quantity",
        ),
        (
            {"rayClusters": [{"name": "a", "workerCpu": "1,5"}]},
            "/spec/rayClusters/0/workerCpu",
            "'1,5' is not a quantity",
        ),
        (
            {"rayClusters": [{"name": "a", "workerMemory": "2GB"}]},
            "/spec/rayClusters/0/workerMemory",
            "'2GB' is not a quantity",
        ),
        (
            {"rayClusters": [{"name": "a", "workerGpus": -1}]},
            "/spec/rayClusters/0/workerGpus",
            "at least 0",
        ),
    ],
)
def test_bad_specs_name_the_field_and_leave_nothing(
    api: httpx2.Client, make_team: MakeTeam, spec: dict[str, Any], pointer: str, words: str
) -> None:
    team = make_team(cpu="4")
    body = wanted("bad", team, **{"quota": {"cpu": "1"}, **spec})
    answer = api.post("/v1/virtual-clusters", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    told = {e["pointer"]: e["detail"] for e in problem["errors"]}
    assert words in told[pointer], problem
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert api.get("/v1/virtual-clusters/bad").status_code == 404
    assert team_status(api, team)["reservations"] == {}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("x" * 33, "has 33 characters; at most 32 are allowed"),
        ("Upper", "is not a DNS label; use lower-case letters"),
        ("with.dot", "is not a DNS label; use lower-case letters"),
        ("-a", "start with a letter"),
        ("a-", "end with a letter or digit"),
        ("default", "is reserved; choose another name"),
        ("", "is not a DNS label"),
    ],
)
def test_bad_names(api: httpx2.Client, make_team: MakeTeam, name: str, words: str) -> None:
    answer = api.post("/v1/virtual-clusters", json=wanted(name, make_team()))
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["limit"]) == ("/name", "32 characters")
    assert words in error["detail"]


def test_a_team_that_is_not_there(api: httpx2.Client) -> None:
    answer = api.post("/v1/virtual-clusters", json=wanted("lost", "nobody"))
    assert answer.status_code == 422
    assert answer.json()["errors"] == [
        {"pointer": "/spec/team", "detail": "there is no team 'nobody'; an admin can make it"}
    ]
