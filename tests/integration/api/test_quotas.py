"""A team's quota over HTTP: set, preview, history, revert, trees, nodes; on a real API server."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from builders.api_process import Running, wanted
from builders.refusals import assert_key_had_another_body
from waiting import until

from .conftest import MakeTeam

Lines = dict[str, dict[str, str]]


def limits(**amounts: str) -> dict[str, Any]:
    return {"quota": {resource: {"limit": limit} for resource, limit in amounts.items()}}


ATOLL = "/apis/atoll.dev/v1alpha1"


def merge(
    kube: httpx2.Client, path: str, body: dict[str, Any], manager: str = "kubectl-edit"
) -> Any:
    answer = kube.patch(
        f"{ATOLL}/{path}?fieldManager={manager}", content=json.dumps(body),
        headers={"Content-Type": "application/merge-patch+json"},
    )  # fmt: skip
    return answer.raise_for_status().json()


def put(
    api: httpx2.Client, team: str, body: dict[str, Any], etag: str = "*", **params: str
) -> httpx2.Response:
    return api.put(f"/v1/teams/{team}/quota", json=body, headers={"If-Match": etag}, params=params)


def history(api: httpx2.Client, team: str, **params: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        api.get(f"/v1/teams/{team}/quota/history", params=params).raise_for_status().json()["items"]
    )
    return found


def child(api: httpx2.Client, name: str, parent: str, quota: Lines) -> httpx2.Response:
    return api.post("/v1/teams", json={"name": name, "spec": {"parent": parent, "quota": quota}})


def test_the_life_of_a_quota(api: httpx2.Client, make_team: MakeTeam) -> None:
    team = make_team(cpu="4")
    first = api.get(f"/v1/teams/{team}/quota")
    assert first.json()["use"] == [
        {"resource": "cpu", "limit": "4", "reserved": "0", "free": "4", "boundBy": team}
    ]
    etag = first.headers["ETag"]
    body = {**limits(cpu="8", memory="16Gi"), "note": "more to do"}
    after = put(api, team, body, etag)
    assert after.status_code == 200, after.text
    assert after.headers["ETag"] != etag
    assert put(api, team, body, etag).status_code == 412
    assert api.put(f"/v1/teams/{team}/quota", json=body).status_code == 428
    newest, oldest = history(api, team)
    assert (oldest["cause"], oldest["by"], oldest["quota"]) == (
        "created", "admin", {"cpu": {"limit": "4"}},
    )  # fmt: skip
    assert newest["note"] == "more to do"
    assert newest["requestId"] == after.headers["X-Request-Id"]
    assert newest["changes"] == [
        {"resource": "cpu", "before": {"limit": "4"}, "after": {"limit": "8"}},
        {"resource": "memory", "after": {"limit": "16Gi"}},
    ]
    same = put(api, team, limits(cpu="8", memory="16Gi"))
    assert same.headers["ETag"] == after.headers["ETag"]
    assert len(history(api, team)) == 2


def test_reservations_do_not_move_the_revision(api: httpx2.Client, make_team: MakeTeam) -> None:
    team = make_team(cpu="4")
    etag = api.get(f"/v1/teams/{team}/quota").headers["ETag"]
    api.post("/v1/virtual-clusters", json=wanted(f"{team}-a", team, quota={"cpu": "3"}))
    now = api.get(f"/v1/teams/{team}/quota")
    assert now.headers["ETag"] == etag
    assert now.json()["use"][0]["free"] == "1"
    assert put(api, team, limits(cpu="5"), etag).status_code == 200


def test_lowering_below_what_is_reserved_wants_the_preview_confirmed(
    api: httpx2.Client, make_team: MakeTeam
) -> None:
    team = make_team(cpu="10")
    for name in ("old", "young"):
        made = api.post(
            "/v1/virtual-clusters",
            json=wanted(f"{team}-{name}", team, quota={"cpu": "4"}),
        )
        assert made.status_code == 202, made.text
    lower = limits(cpu="5")
    refused = put(api, team, lower)
    assert refused.status_code == 409
    problem = refused.json()
    assert problem["code"] == "confirmation_needed"
    assert "cpu: 8 reserved of 5, 3 over" in problem["detail"]
    assert api.get(f"/v1/teams/{team}/quota").json()["quota"] == {"cpu": {"limit": "10"}}
    seen = api.post(f"/v1/teams/{team}/quota:preview", json=lower).json()
    assert seen["confirm"] == problem["preview"]["confirm"]
    assert seen["lines"][0] == {
        "resource": "cpu", "limitBefore": "10", "limitAfter": "5", "reserved": "8", "over": "3",
    }  # fmt: skip
    assert [h["virtualCluster"] for h in seen["noLongerFit"]] == [f"{team}-young"]
    assert put(api, team, lower, confirm="0123456789abcdef").status_code == 409
    assert put(api, team, limits(cpu="6"), confirm=seen["confirm"]).status_code == 409
    by_patch = api.patch(f"/v1/teams/{team}", json={"spec": lower}, headers={"If-Match": "*"})
    assert by_patch.json()["code"] == "confirmation_needed"
    done = put(api, team, lower, confirm=seen["confirm"])
    assert done.status_code == 200
    assert api.get(f"/v1/virtual-clusters/{team}-young").status_code == 200
    grown = api.patch(
        f"/v1/virtual-clusters/{team}-old", json={"spec": {"quota": {"cpu": "5"}}},
        headers={"If-Match": "*"},
    )  # fmt: skip
    assert grown.json()["code"] == "quota_exceeded"
    # Still over, and less so: nothing gets worse, nothing is to be confirmed.
    assert put(api, team, limits(cpu="7")).status_code == 200
    until(
        lambda: condition(api, team, "WithinQuota") == ("False", "OverReserved"),
        "it says it is over",
    )
    assert put(api, team, limits(cpu="8")).status_code == 200
    until(
        lambda: condition(api, team, "WithinQuota") == ("True", "WithinLimits"),
        "it says it is mended",
    )


def condition(api: httpx2.Client, team: str, kind: str) -> tuple[str, str] | None:
    told = api.get(f"/v1/teams/{team}").json()["status"]["conditions"]
    return next(((c["status"], c["reason"]) for c in told if c["type"] == kind), None)


def test_a_preview_tells_who_would_get_in(
    api: httpx2.Client, make_team: MakeTeam, kube: httpx2.Client
) -> None:
    team = make_team(cpu="2")
    meta = {"apiVersion": "atoll.dev/v1alpha1", "kind": "VirtualCluster"}
    for name, cpu in (("a-small", "3"), ("b-large", "9")):
        spec = {"team": team, "quota": {"cpu": cpu}, "rayClusters": [{"name": "main"}]}
        body = {**meta, "metadata": {"name": f"{team}-{name}"}, "spec": spec}
        made = kube.post(f"{ATOLL}/virtualclusters", json=body).raise_for_status().json()
        told = {"type": "Admitted", "status": "False", "reason": "QuotaExceeded"}
        kube.put(
            f"{ATOLL}/virtualclusters/{team}-{name}/status",
            json={**made, "status": {"conditions": [told]}},
        ).raise_for_status()
    seen = api.post(f"/v1/teams/{team}/quota:preview", json=limits(cpu="10")).json()
    assert seen["wouldBeAdmitted"] == [
        {"virtualCluster": f"{team}-a-small", "team": team, "rayClusters": ["main"],
         "demand": {"cpu": "3", "virtualclusters": "1"}}
    ]  # fmt: skip
    assert not seen["needsConfirmation"]
    assert history(api, team)[0]["number"] == 1


def test_revert_to_a_number(api: httpx2.Client, make_team: MakeTeam) -> None:
    team = make_team(cpu="4")
    put(api, team, limits(cpu="8"))
    path, key = f"/v1/teams/{team}/quota:revert", {"Idempotency-Key": str(uuid.uuid4())}
    etag = api.get(f"/v1/teams/{team}/quota").headers["ETag"]
    assert api.post(path, json={"number": 1}).status_code == 428
    unknown = api.post(path, json={"number": 77}, headers={"If-Match": etag})
    assert (unknown.status_code, unknown.json()["errors"][0]["pointer"]) == (422, "/number")
    answers = [
        api.post(path, json={"number": 1, "note": "too much"}, headers={"If-Match": etag, **key})
        for _ in range(2)
    ]
    assert [a.json()["quota"] for a in answers] == [{"cpu": {"limit": "4"}}] * 2
    newest = history(api, team)[0]
    assert (newest["cause"], newest["revertedTo"], newest["note"]) == ("reverted", 1, "too much")
    assert len(history(api, team)) == 3
    below = f"{team}-below"
    child(api, below, team, {"cpu": {"limit": "4"}}).raise_for_status()
    put(api, below, limits(cpu="2")).raise_for_status()
    put(api, team, limits(cpu="3")).raise_for_status()
    again = f"/v1/teams/{below}/quota:revert"
    (over,) = api.post(again, json={"number": 1}, headers={"If-Match": "*"}).json()["errors"]
    assert over["pointer"] == "/number"
    assert over["detail"].startswith("quota/cpu/limit of that time 4 is more than the limit of")
    other = api.post(path, json={"number": 2}, headers={"If-Match": "*", **key})
    assert_key_had_another_body(other)


def test_history_comes_in_pieces(api: httpx2.Client, make_team: MakeTeam) -> None:
    team = make_team(cpu="1")
    for cpu in range(2, 13):
        put(api, team, limits(cpu=str(cpu))).raise_for_status()
    path, seen, cursor = f"/v1/teams/{team}/quota/history", [], None
    while True:
        page = api.get(path, params={"limit": 5, **({"cursor": cursor} if cursor else {})}).json()
        seen += [item["quota"]["cpu"]["limit"] for item in page["items"]]
        cursor = page.get("next")
        if cursor is None:
            break
    assert seen == [str(cpu) for cpu in range(12, 0, -1)]


def test_what_kubectl_does_is_history_too_and_cannot_be_rewritten(
    api: httpx2.Client, make_team: MakeTeam, kube: httpx2.Client
) -> None:
    team = make_team(cpu="4")
    merge(kube, f"teams/{team}", {"spec": limits(cpu="6")})
    merge(kube, f"teams/{team}", {"spec": limits(cpu="7")}, "flux")
    merge(kube, f"teams/{team}", {"spec": {"displayName": "Not the quota"}})

    def kept() -> list[dict[str, Any]]:
        # Not by the API: to read the history there records what is so at that moment.
        label = {"labelSelector": f"atoll.dev/team={team}"}
        found: list[dict[str, Any]] = kube.get(f"{ATOLL}/quotarevisions", params=label).json()[
            "items"
        ]
        return found

    until(lambda: len(kept()) == 3, "both changes are history")
    told = [(r["by"], r["quota"]["cpu"]["limit"]) for r in history(api, team)]
    assert told == [("flux", "7"), ("kubectl-edit", "6"), ("admin", "4")]
    items = kept()
    assert {i["metadata"]["ownerReferences"][0]["name"] for i in items} == {team}
    spoilt = kube.patch(
        f"{ATOLL}/quotarevisions/{items[0]['metadata']['name']}",
        content=json.dumps({"spec": {"by": "nobody"}}),
        headers={"Content-Type": "application/merge-patch+json"},
    )
    assert spoilt.status_code == 422
    assert "history is not changed" in spoilt.text


def test_every_change_has_one_audit_line(
    api: httpx2.Client, make_team: MakeTeam, running: Running, kube: httpx2.Client
) -> None:
    team = make_team(cpu="4")
    answer = put(api, team, {**limits(cpu="5"), "note": "why"})
    merge(kube, f"teams/{team}", {"spec": limits(cpu="6")})

    def lines() -> list[dict[str, Any]]:
        found = (
            json.loads(line) for line in running.log.read_text().splitlines() if "audit" in line
        )
        return [f for f in found if f.get("logger") == "audit" and f["what"] == f"teams/{team}"]

    until(lambda: len(lines()) == 3, "three audit lines")
    made, changed, past = lines()
    assert (made["who"], made["before"], made["cause"]) == ("admin", None, "created")
    assert changed["event"] == "quota.changed"
    assert changed["request_id"] == answer.headers["X-Request-Id"]
    assert changed["before"]["quota"] == {"cpu": {"limit": "4"}}
    assert changed["after"]["quota"] == {"cpu": {"limit": "5"}}
    assert changed["note"] == "why"
    assert (past["who"], past["request_id"]) == ("kubectl-edit", "")


def test_teams_below_teams(api: httpx2.Client, make_team: MakeTeam) -> None:
    top = make_team(cpu="10")
    a, b = f"{top}-a", f"{top}-b"
    assert child(api, a, top, {"cpu": {"limit": "8", "guaranteed": "6"}}).status_code == 201
    too_much = child(api, b, top, {"cpu": {"limit": "11", "guaranteed": "5"}})
    assert too_much.status_code == 422
    told = {e["pointer"]: e for e in too_much.json()["errors"]}
    assert told["/spec/quota/cpu/limit"]["limit"] == "10"
    assert "guaranteed 11 together" in told["/spec/quota/cpu/guaranteed"]["detail"]
    assert child(api, b, top, {}).status_code == 201
    lower = put(api, top, limits(cpu="7"))
    assert "limits of teams below it" in lower.json()["errors"][0]["detail"]
    use = api.get(f"/v1/teams/{b}/quota").json()["use"]
    assert use == [{"resource": "cpu", "reserved": "0", "free": "4", "boundBy": top}]
    unnamed = api.post("/v1/virtual-clusters", json=wanted(f"{top}-x", b))
    assert unnamed.json()["errors"][0]["pointer"] == "/spec/quota/cpu"
    greedy = api.post("/v1/virtual-clusters", json=wanted(f"{top}-x", b, quota={"cpu": "5"}))
    (short,) = greedy.json()["shortages"]
    assert (short["team"], short["kept"], short["free"], short["held"]) == (top, "6", "4", {})
    fits = api.post("/v1/virtual-clusters", json=wanted(f"{top}-x", b, quota={"cpu": "4"}))
    assert fits.status_code == 202
    assert api.get(f"/v1/teams/{top}").json()["status"]["reserved"]["cpu"] == "4"
    moved = api.patch(f"/v1/teams/{b}", json={"spec": {"parent": None}}, headers={"If-Match": "*"})
    assert (moved.status_code, moved.json()["code"]) == (409, "in_use")
    gone = api.delete(f"/v1/teams/{top}", headers={"If-Match": "*"})
    assert gone.status_code == 409
    circle = api.patch(f"/v1/teams/{a}", json={"spec": {"parent": a}}, headers={"If-Match": "*"})
    assert "circle" in circle.json()["errors"][0]["detail"]


def test_a_parent_with_teams_is_not_deleted(api: httpx2.Client, make_team: MakeTeam) -> None:
    top = make_team(cpu="1")
    child(api, f"{top}-a", top, {})
    answer = api.delete(f"/v1/teams/{top}", headers={"If-Match": "*"})
    assert (answer.json()["code"], answer.json()["teams"]) == ("in_use", [f"{top}-a"])


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"quota": {"cpu": {"limit": "1", "guaranteed": "2"}}}, "QuotaInvalid", "guaranteed"),
        ({"quota": {"cpu": {"limit": "plenty"}}}, "StoredInvalid", "not a quantity"),
        ({"parent": "nobody-there"}, "TeamTreeBroken", "no team 'nobody-there'"),
        ({"quota": {"example.com/npu": {"limit": "2"}}}, "UnknownResource", "example.com/npu"),
    ],
)
def test_what_kubectl_wrote_wrong_is_told_in_a_condition(
    kube: httpx2.Client, api: httpx2.Client, spec: dict[str, Any], reason: str, words: str
) -> None:
    name = f"bad-{reason.lower()}"
    body = {"apiVersion": "atoll.dev/v1alpha1", "kind": "Team", "metadata": {"name": name}}
    kube.post(f"{ATOLL}/teams", json={**body, "spec": spec}).raise_for_status()

    def told() -> dict[str, str]:
        status = kube.get(f"{ATOLL}/teams/{name}").json().get("status") or {}
        found = [c for c in status.get("conditions") or [] if c["type"] == "QuotaValid"]
        return found[0] if found else {}

    try:
        until(lambda: told().get("reason") == reason, "the condition says so")
        assert told()["status"] == "False"
        assert words in told()["message"]
        if "quota" in spec and reason == "UnknownResource":
            refused = put(
                api, name, {"quota": {**spec["quota"], "other.example/x": {"limit": "1"}}}
            )
            assert "other.example/x" in refused.json()["errors"][0]["detail"]
    finally:
        kube.delete(f"{ATOLL}/teams/{name}")


def test_status_says_which_generation_was_judged(kube: httpx2.Client, api: httpx2.Client) -> None:
    """Also of a team of which there is nothing to say: only so can a tool tell judged from not yet."""
    path = f"{ATOLL}/teams/judged"
    body = {
        "apiVersion": "atoll.dev/v1alpha1",
        "kind": "Team",
        "metadata": {"name": "judged"},
        "spec": {},
    }
    kube.post(f"{ATOLL}/teams", json=body).raise_for_status()

    def judged() -> tuple[int | None, list[tuple[str, int]]]:
        status = kube.get(path).json().get("status") or {}
        said = [(c["status"], c["observedGeneration"]) for c in status.get("conditions") or []]
        return status.get("observedGeneration"), said

    def change(spec: dict[str, Any]) -> None:
        headers = {"Content-Type": "application/merge-patch+json"}
        kube.patch(path, content=json.dumps({"spec": spec}), headers=headers).raise_for_status()

    try:
        until(lambda: judged() == (1, []), "the first generation is judged")
        change({"quota": {"cpu": {"limit": "1", "guaranteed": "2"}}})
        until(lambda: judged() == (2, [("False", 2)]), "the wrong quota is judged")
        change({"displayName": "Judged"})
        until(lambda: judged() == (3, [("False", 3)]), "the same is said of the third")
        assert api.get("/v1/teams/judged").json()["status"]["observedGeneration"] == 3
    finally:
        kube.delete(path)


@pytest.fixture
def gpu_node(kube: httpx2.Client) -> Iterator[str]:
    name = "node-with-gpus"
    body = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}
    made = kube.post("/api/v1/nodes", json=body).raise_for_status().json()
    status = {"capacity": {"cpu": "8", "nvidia.com/gpu": "4"}}
    kube.put(f"/api/v1/nodes/{name}/status", json={**made, "status": status}).raise_for_status()
    yield name
    kube.delete(f"/api/v1/nodes/{name}")


def test_gpus_that_no_node_has_are_refused_with_those_there_are(
    api: httpx2.Client, make_team: MakeTeam, gpu_node: str
) -> None:
    team = make_team(cpu="1")
    assert put(api, team, limits(**{"nvidia.com/gpu": "4"})).status_code == 200
    refused = put(api, team, limits(**{"nvidia.com/gpu": "4", "amd.com/gpu": "1"}))
    assert refused.status_code == 422
    (field,) = refused.json()["errors"]
    assert field["pointer"] == "/quota/amd.com~1gpu"
    path = f"/v1/teams/{team}/quota:preview"
    (seen,) = api.post(path, json=limits(**{"amd.com/gpu": "1"})).json()["errors"]
    assert seen["pointer"] == "/quota/amd.com~1gpu"
    assert "extended resources there: nvidia.com/gpu" in field["detail"]
    none_of_it = limits(**{"nvidia.com/gpu": "4", "amd.com/gpu": "0"})
    assert put(api, team, none_of_it).status_code == 200
