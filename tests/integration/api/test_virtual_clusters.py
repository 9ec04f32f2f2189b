"""Virtual clusters through the API, with no worker: what is accepted, refused and left behind."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from atoll.cluster import kinds
from atoll.cluster.client import Cluster
from builders.api_process import TEMPLATE, Running, wanted

MakeTeam = Callable[..., str]


def team_status(api: httpx2.Client, team: str) -> dict[str, Any]:
    found: dict[str, Any] = api.get(f"/v1/teams/{team}").json()["status"]
    return found


def test_create_answers_with_an_operation_and_holds_the_quota(
    api: httpx2.Client, make_team: MakeTeam
) -> None:
    team = make_team(cpu="4", memory="8Gi")
    body = wanted("made", team, quota={"cpu": "1500m", "memory": "2Gi"})
    answer = api.post("/v1/virtual-clusters", json=body)
    assert answer.status_code == 202, answer.text
    made = answer.json()
    assert (
        answer.headers["location"] == f"/v1/operations/{made['uid']}.1" == made["operation"]["href"]
    )
    assert answer.headers["retry-after"] == "2"
    assert "warning" not in made["operation"]
    assert team_status(api, team)["reservations"] == {
        "made": {"cpu": "1500m", "memory": "2Gi", "virtualclusters": "1"}
    }
    operation = api.get(made["operation"]["href"]).json()
    assert (operation["action"], operation["state"], operation["target"]) == (
        "create",
        "running",
        "made",
    )
    listed = api.get("/v1/virtual-clusters", params={"team": team}).json()["items"]
    assert [v["name"] for v in listed] == ["made"]
    one = api.get("/v1/virtual-clusters/made")
    assert one.headers["etag"] == f'"{one.json()["revision"]}"'


def test_fifty_creates_at_once_never_pass_the_limit(
    running: Running, make_team: MakeTeam, api: httpx2.Client
) -> None:
    team = make_team(cpu="10")

    def create(index: int) -> int:
        with running.client() as client:
            body = wanted(f"race-{index}", team, quota={"cpu": "1"})
            answer = client.post("/v1/virtual-clusters", json=body, timeout=60)
            if answer.status_code == 409:
                assert answer.json()["code"] == "quota_exceeded"
            return answer.status_code

    with ThreadPoolExecutor(50) as pool:
        codes = list(pool.map(create, range(50)))
    assert (codes.count(202), codes.count(409)) == (10, 40)
    status = team_status(api, team)
    assert Decimal(status["reserved"]["cpu"]) == 10
    listed = api.get("/v1/virtual-clusters", params={"team": team}).json()["items"]
    assert sorted(status["reservations"]) == sorted(v["name"] for v in listed)
    assert len(listed) == 10


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


def test_two_creates_with_one_name_at_once(
    running: Running, make_team: MakeTeam, api: httpx2.Client
) -> None:
    team = make_team(cpu="100")

    def create(cpu: int) -> httpx2.Response:
        with running.client() as client:
            body = wanted("twin", team, quota={"cpu": str(cpu)})
            return client.post("/v1/virtual-clusters", json=body)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(create, range(1, 9)))
    assert sorted(a.status_code for a in answers) == [202] + [409] * 7
    for refused in (a.json() for a in answers if a.status_code == 409):
        assert refused["code"] == "exists"
        assert refused["errors"] == [{"pointer": "/name", "detail": "is taken"}]
        assert "choose another name, or PATCH the one that exists" in refused["detail"]
    kept = api.get("/v1/virtual-clusters/twin").json()["spec"]["quota"]["cpu"]
    assert team_status(api, team)["reserved"]["cpu"] == kept


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


def test_dry_run_writes_nothing(api: httpx2.Client, make_team: MakeTeam) -> None:
    team = make_team(cpu="4")
    body = wanted("dry", team, quota={"cpu": "1"})
    answer = api.post("/v1/virtual-clusters?dry_run=server", json=body)
    assert answer.status_code == 200
    assert "location" not in answer.headers
    assert api.get("/v1/virtual-clusters/dry").status_code == 404
    assert team_status(api, team)["reservations"] == {}
    body["spec"]["quota"]["cpu"] = "5"
    assert api.post("/v1/virtual-clusters?dry_run=server", json=body).status_code == 409


def test_patch_moves_the_reservation_and_refuses_what_breaks_a_rule(
    api: httpx2.Client, make_team: MakeTeam
) -> None:
    team = make_team(cpu="4")
    api.post("/v1/virtual-clusters", json=wanted("grow", team, quota={"cpu": "1"}))
    path = "/v1/virtual-clusters/grow"
    etag = api.get(path).headers["etag"]

    def patch(spec: dict[str, Any], tag: str = "*") -> httpx2.Response:
        return api.patch(path, json={"spec": spec}, headers={"If-Match": tag})

    unsaid = api.patch(path, json={"spec": {}})
    assert (unsaid.status_code, unsaid.json()["errors"]) == (
        428,
        [{"pointer": "/header/If-Match", "detail": "is missing"}],
    )
    assert patch({"quota": {"cpu": "5"}}).json()["code"] == "quota_exceeded"
    for change, pointer, words in (
        ({"quota": {"cpu": "no"}}, "/spec/quota/cpu", "'no' is not a quantity"),
        ({"team": "other"}, "/spec/team", "cannot be changed"),
        ({"replicaSets": None}, "/spec/replicaSets", "names no nodes"),
        ({"mode": "shared"}, "/spec/mode", "cannot be changed"),
    ):
        refused = patch(change)
        assert refused.status_code == 422
        told = {e["pointer"]: e["detail"] for e in refused.json()["errors"]}
        assert words in told[pointer]
    assert api.get(path).headers["etag"] == etag
    assert team_status(api, team)["reserved"]["cpu"] == "1"

    grown = patch({"quota": {"cpu": "4"}}, etag)
    assert grown.status_code == 202
    assert grown.json()["operation"]["id"].endswith(".2")
    assert team_status(api, team)["reservations"]["grow"]["cpu"] == "4"
    stale = patch({"quota": {"cpu": "2"}}, etag)
    assert_stale(stale, "grow", grown.json()["revision"])
    assert patch({"quota": {"cpu": "2"}}).status_code == 202
    assert team_status(api, team)["reservations"]["grow"]["cpu"] == "2"
    same = patch({"quota": {"cpu": "2"}})
    assert same.json()["operation"]["id"].endswith(".3")


def assert_stale(answer: httpx2.Response, name: str, revision: str) -> None:
    """It says which header is wrong, what it should be, and what to do."""
    assert answer.status_code == 412
    problem = answer.json()
    assert (problem["code"], problem["revision"]) == ("precondition_failed", revision)
    assert problem["errors"] == [
        {
            "pointer": "/header/If-Match",
            "detail": f"does not name the present revision, {revision!r}",
        }
    ]
    assert problem["detail"] == (
        f"{name!r} has changed since you read it; read it again and repeat the change"
    )


def test_patches_at_once_end_with_what_is_stored(
    running: Running, api: httpx2.Client, make_team: MakeTeam
) -> None:
    team = make_team(cpu="60")
    for name in ("one", "two"):
        api.post("/v1/virtual-clusters", json=wanted(f"busy-{name}", team, quota={"cpu": "1"}))

    def patch(index: int) -> int:
        with running.client() as client:
            name = "one" if index % 2 else "two"
            return client.patch(
                f"/v1/virtual-clusters/busy-{name}",
                json={"spec": {"quota": {"cpu": str(index + 20)}}},
                headers={"If-Match": "*"},
            ).status_code

    with ThreadPoolExecutor(12) as pool:
        codes = set(pool.map(patch, range(12)))
    assert codes <= {202, 409}
    assert 202 in codes
    status = team_status(api, team)
    assert Decimal(status["reserved"]["cpu"]) <= 60
    for name in ("one", "two"):
        found = api.get(f"/v1/virtual-clusters/busy-{name}").json()
        assert Decimal(status["reservations"][f"busy-{name}"]["cpu"]) >= Decimal(
            found["spec"]["quota"]["cpu"]
        )


def test_idempotency_key(running: Running, api: httpx2.Client, make_team: MakeTeam) -> None:
    team = make_team(cpu="4")
    body = wanted("once", team, quota={"cpu": "1"})

    def create(_: int) -> httpx2.Response:
        with running.client() as client:
            return client.post(
                "/v1/virtual-clusters", json=body, headers={"Idempotency-Key": "k-1"}
            )

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(create, range(6)))
    assert {a.status_code for a in answers} == {202}
    assert len({a.headers["location"] for a in answers}) == 1
    body["spec"]["quota"]["cpu"] = "2"
    other = create(0)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_mismatch")
    assert team_status(api, team)["reserved"]["cpu"] == "1"


def test_delete_is_accepted_again_and_again_and_stops_changes(
    api: httpx2.Client, make_team: MakeTeam
) -> None:
    team = make_team(cpu="4")
    made = api.post("/v1/virtual-clusters", json=wanted("leaving", team, quota={"cpu": "1"})).json()
    path = "/v1/virtual-clusters/leaving"
    assert api.delete(path).status_code == 428
    assert_stale(api.delete(path, headers={"If-Match": '"1"'}), "leaving", made["revision"])
    first = api.delete(path, headers={"If-Match": f'"{made["revision"]}"'})
    again = api.delete(path, headers={"If-Match": "*"})
    assert first.status_code == again.status_code == 202
    assert first.headers["location"] == again.headers["location"]
    operation = api.get(first.headers["location"]).json()
    assert (operation["action"], operation["state"]) == ("delete", "running")
    assert api.get(f"/v1/operations/{made['uid']}.1").json()["state"] == "failed"
    refused = api.patch(path, json={"spec": {"divisible": True}}, headers={"If-Match": "*"})
    assert_deleting(refused)
    taken = api.post("/v1/virtual-clusters", json=wanted("leaving", team, quota={"cpu": "1"}))
    assert_deleting(taken)
    busy = api.delete(f"/v1/teams/{team}", headers={"If-Match": "*"})
    assert (busy.json()["code"], busy.json()["virtual_clusters"]) == ("in_use", ["leaving"])
    used = api.delete("/v1/profiles/default", headers={"If-Match": "*"})
    assert used.json()["code"] == "in_use"


def assert_deleting(answer: httpx2.Response) -> None:
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (409, "deleting")
    assert problem["errors"] == [{"pointer": "/name", "detail": "is being deleted"}]
    assert "'leaving' is being deleted; wait until it is gone" in problem["detail"]


def test_kubeconfig_has_no_secret(
    running: Running, api: httpx2.Client, make_team: MakeTeam
) -> None:
    api.post("/v1/virtual-clusters", json=wanted("kube", make_team()))
    answer = api.get("/v1/virtual-clusters/kube/kubeconfig")
    assert answer.headers["content-type"].startswith("application/yaml")
    assert f"{running.url}/v1/virtual-clusters/kube/kubernetes" in answer.text
    assert "test-token" not in answer.text


def test_a_deletion_that_is_over_at_once_is_an_operation_too(
    api: httpx2.Client, make_team: MakeTeam, api_server: Path
) -> None:
    team = make_team(cpu="4")
    api.post(
        "/v1/virtual-clusters", json=wanted("brief", team, quota={"cpu": "1"})
    ).raise_for_status()

    async def take_finalizer_away() -> None:
        async with Cluster.from_file(api_server) as cluster:
            await cluster.patch(kinds.VIRTUAL_CLUSTER, "brief", {"metadata": {"finalizers": None}})

    asyncio.run(take_finalizer_away())
    answer = api.delete("/v1/virtual-clusters/brief", headers={"If-Match": "*"})
    assert answer.status_code == 202
    operation = api.get(answer.headers["location"]).json()
    assert (operation["action"], operation["state"], operation["percent"]) == (
        "delete",
        "succeeded",
        100,
    )
    assert team_status(api, team)["reservations"] == {}
    assert api.get("/v1/virtual-clusters/brief").status_code == 404
