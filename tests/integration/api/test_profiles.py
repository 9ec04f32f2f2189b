"""Profiles over HTTP: versions that do not work, that would go back, or leap."""

import httpx2

from builders.api_process import profile, wanted

from .conftest import MakeTeam


def test_versions_known_not_to_work_are_refused(api: httpx2.Client) -> None:
    body = profile("old", kubernetes="1.33.4")
    body["spec"]["vcluster"]["chart"]["version"] = "0.36.0"
    answer = api.post("/v1/profiles", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/spec/vcluster/chart/version"


def test_kubernetes_does_not_go_back_and_retired_profiles_are_closed(
    api: httpx2.Client, make_team: MakeTeam
) -> None:
    api.post("/v1/profiles", json=profile("k34", "1.34.0")).raise_for_status()
    retired = profile("retired")
    retired["spec"]["retired"] = True
    api.post("/v1/profiles", json=retired).raise_for_status()
    api.post("/v1/virtual-clusters", json=wanted("versions", make_team())).raise_for_status()
    for name, words in (("k34", "cannot go back"), ("retired", "retired")):
        answer = api.patch(
            "/v1/virtual-clusters/versions",
            json={"spec": {"profile": name}},
            headers={"If-Match": "*"},
        )
        assert answer.status_code == 422
        assert words in answer.json()["detail"]


def test_a_profile_in_use_goes_one_step_forward_and_never_back(
    api: httpx2.Client, make_team: MakeTeam
) -> None:
    api.post("/v1/profiles", json=profile("followed", "1.34.2")).raise_for_status()

    def patch(part: str, version: str, query: str = "") -> httpx2.Response:
        change = {"version": version} if part == "kubernetes" else {"chart": {"version": version}}
        return api.patch(
            f"/v1/profiles/followed{query}", json={"spec": {part: change}},
            headers={"If-Match": "*"},
        )  # fmt: skip

    assert patch("kubernetes", "1.36.0").status_code == 200  # nobody follows it yet
    assert patch("kubernetes", "1.34.2").status_code == 200
    body = wanted("follower", make_team(), profile="followed")
    api.post("/v1/virtual-clusters", json=body).raise_for_status()
    for part, version, pointer, words in (
        ("kubernetes", "1.33.9", "/spec/kubernetes/version", "cannot go back"),
        ("kubernetes", "1.36.3", "/spec/kubernetes/version", "go to 1.35 first"),
        ("kuberay", "1.6.2", "/spec/kuberay/chart/version", "KubeRay cannot go back"),
        ("vcluster", "0.36.0", "/spec/vcluster/chart/version", "vcluster cannot go back"),
    ):
        for query in ("", "?dry_run=server"):
            refused = patch(part, version, query)
            problem = refused.json()
            assert (refused.status_code, problem["code"]) == (409, "in_use"), problem
            assert problem["virtual_clusters"] == ["follower"]
            assert "follower" in problem["detail"]
            assert words in problem["detail"]
            assert [e["pointer"] for e in problem["errors"]] == [pointer]
    for part, version in (("kubernetes", "1.35.1"), ("kubernetes", "1.35.0"), ("kuberay", "1.8.0")):
        assert patch(part, version).status_code == 200
    # A virtual cluster cannot go back by way of another profile either.
    older = profile("older", "1.36.3")
    older["spec"]["kuberay"]["chart"]["version"] = "1.6.2"
    api.post("/v1/profiles", json=older).raise_for_status()
    moved = api.patch(
        "/v1/virtual-clusters/follower", json={"spec": {"profile": "older"}},
        headers={"If-Match": "*"},
    )  # fmt: skip
    assert (moved.status_code, moved.json()["errors"][0]["pointer"]) == (422, "/spec/profile")
    assert "KubeRay cannot go back" in moved.json()["detail"]
