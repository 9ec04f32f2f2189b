"""Virtual clusters through the API, with no worker: made, changed, deleted, and what is held meanwhile."""

import asyncio
from pathlib import Path
from typing import Any

import httpx2

from atoll.cluster import kinds
from atoll.cluster.client import Cluster
from builders.api_process import Running, team_status, wanted
from waiting import until

from .conftest import MakeTeam


def test_create_answers_with_an_operation_and_holds_the_quota(
    api: httpx2.Client, make_team: MakeTeam
) -> None:
    team = make_team(cpu="4", memory="8Gi")
    until(lambda: api.get("/v1/health").json()["parts"]["queue"]["ok"], "the queue answers", 60)
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
