"""The quota of a virtual cluster through the API: what another would do, and confirming a lower one."""

from collections.abc import Callable
from typing import Any

import httpx2

from builders.api_process import wanted

MakeTeam = Callable[..., str]


def reserved(api: httpx2.Client, team: str) -> dict[str, Any]:
    """What each virtual cluster holds of the team's quota."""
    found: dict[str, Any] = api.get(f"/v1/teams/{team}").json()["status"]["reservations"]
    return found


def uses(kube: httpx2.Client, name: str, **amounts: str) -> None:
    """As if the follower had summed up so much."""
    kube.patch(
        f"/apis/atoll.dev/v1alpha1/virtualclusters/{name}/status",
        json={"status": {"used": amounts}},
        headers={"Content-Type": "application/merge-patch+json"},
    ).raise_for_status()


def test_a_preview_of_a_quota_says_what_it_would_do_and_why_it_would_be_refused(
    api: httpx2.Client, make_team: MakeTeam, kube: httpx2.Client
) -> None:
    team = make_team(cpu="6")
    ray = [{"name": "main", "workers": 1}, {"name": "second", "workers": 1}]
    body = wanted("looked-at", team, quota={"cpu": "4", "memory": "20Gi"}, rayClusters=ray)
    made = api.post("/v1/virtual-clusters", json=body).raise_for_status().json()
    uses(kube, "looked-at", cpu="3", memory="4Gi")

    def preview(**quota: str) -> dict[str, Any]:
        path = "/v1/virtual-clusters/looked-at/quota:preview"
        answer = api.post(path, json={"quota": quota})
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    lower = preview(cpu="2", memory="20Gi")
    assert lower["revision"] == made["revision"]
    assert lower["lines"][0] == {
        "resource": "cpu", "limitBefore": "4", "limitAfter": "2", "used": "3", "over": "1",
    }  # fmt: skip
    assert [fit["name"] for fit in lower["noLongerFit"]] == ["second"]
    assert lower["refused"][0]["pointer"] == "/spec/rayClusters"
    higher = preview(cpu="5", memory="20Gi", pods="9")
    assert (higher["noLongerFit"], higher["refused"]) == ([], [])
    assert higher["lines"][2] == {"resource": "pods", "limitAfter": "9", "used": "0", "over": "0"}
    (short,) = preview(cpu="7", memory="20Gi")["refused"]
    assert short == {"pointer": "/spec/quota/cpu", "detail": "7 asked, 6 free", "limit": "6"}
    (unnamed,) = preview(memory="20Gi")["refused"]
    assert "has a limit on cpu" in unnamed["detail"]
    assert api.get("/v1/virtual-clusters/looked-at").json()["spec"] == made["spec"]
    assert reserved(api, team)["looked-at"]["cpu"] == "4"
    wrong = api.post("/v1/virtual-clusters/looked-at/quota:preview", json={"quota": {"cpu": "x"}})
    assert wrong.status_code == 422
    assert api.post("/v1/virtual-clusters/no/quota:preview", json={"quota": {}}).status_code == 404


def test_lowering_below_what_is_used_wants_the_preview_confirmed(
    api: httpx2.Client, make_team: MakeTeam, kube: httpx2.Client
) -> None:
    team = make_team(cpu="10")
    path = "/v1/virtual-clusters/shrunk"
    body = wanted("shrunk", team, quota={"cpu": "8", "memory": "16Gi"})
    api.post("/v1/virtual-clusters", json=body).raise_for_status()
    uses(kube, "shrunk", cpu="5", memory="4Gi")

    def patch(spec: dict[str, Any], **params: str) -> httpx2.Response:
        return api.patch(path, json={"spec": spec}, headers={"If-Match": "*"}, params=params)

    lower = {"quota": {"cpu": "4"}}
    refused = patch(lower)
    assert refused.status_code == 409
    problem = refused.json()
    assert problem["code"] == "confirmation_needed"
    assert "More of virtual cluster 'shrunk' is used than the new quota" in problem["detail"]
    assert "cpu: 5 used of 4, 1 over. What runs stays" in problem["detail"]
    quota = {"cpu": "4", "memory": "16Gi"}
    seen = api.post(f"{path}/quota:preview", json={"quota": quota}).json()
    assert seen == problem["preview"]
    assert (seen["needsConfirmation"], seen["refused"]) == (True, [])
    assert seen["lines"][0] == {
        "resource": "cpu", "limitBefore": "8", "limitAfter": "4", "used": "5", "over": "1",
    }  # fmt: skip
    assert patch(lower, dry_run="server").status_code == 200
    stale = patch(lower, confirm="0123456789abcdef")
    assert stale.status_code == 409
    assert stale.json()["detail"].startswith("What was confirmed is not what would happen now.")
    assert patch({"quota": {"cpu": "3"}}, confirm=seen["confirm"]).status_code == 409
    # What is used moves all the time; another line that is over is something else.
    uses(kube, "shrunk", cpu="6", memory="17Gi")
    low = {"quota": {"cpu": "4", "memory": "16Gi"}}
    assert patch(low, confirm=seen["confirm"]).status_code == 409
    uses(kube, "shrunk", cpu="6", memory="4Gi")
    assert api.get(path).json()["spec"]["quota"] == {"cpu": "8", "memory": "16Gi"}
    assert reserved(api, team)["shrunk"]["cpu"] == "8"
    assert patch(lower, confirm=seen["confirm"]).status_code == 202
    assert reserved(api, team)["shrunk"]["cpu"] == "4"


def test_what_puts_no_more_over_a_quota_needs_no_confirmation(
    api: httpx2.Client, make_team: MakeTeam, kube: httpx2.Client
) -> None:
    team = make_team(cpu="10")
    path = "/v1/virtual-clusters/over"
    body = wanted("over", team, quota={"cpu": "8", "memory": "16Gi"})
    api.post("/v1/virtual-clusters", json=body).raise_for_status()
    uses(kube, "over", cpu="5", memory="4Gi")

    def patch(spec: dict[str, Any]) -> httpx2.Response:
        return api.patch(path, json={"spec": spec}, headers={"If-Match": "*"})

    assert patch({"quota": {"cpu": "5"}}).status_code == 202
    # What kubectl lowers is done at once.
    kube.patch(
        "/apis/atoll.dev/v1alpha1/virtualclusters/over",
        json={"spec": {"quota": {"cpu": "2"}}},
        headers={"Content-Type": "application/merge-patch+json"},
    ).raise_for_status()
    assert patch({"drainDeadlineSeconds": 60}).status_code == 202
    assert patch({"quota": {"cpu": "3", "memory": "8Gi"}}).status_code == 202
    worse = patch({"drainDeadlineSeconds": 90, "quota": {"cpu": "1"}})
    assert worse.json()["code"] == "confirmation_needed"
    assert api.get(path).json()["spec"]["drainDeadlineSeconds"] == 60
