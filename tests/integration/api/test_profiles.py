"""Profiles over HTTP: versions that do not work, that would go back, or leap."""

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx2
import pytest

from builders.api_process import profile, wanted
from builders.ways_in import installed
from conftest import CACHE
from waiting import until

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


PROFILES = "/apis/atoll.dev/v1alpha1/profiles"


def by_kubectl(kube: httpx2.Client, name: str, spec: dict[str, Any]) -> None:
    """As `kubectl apply` of a new one, or `kubectl patch` of one that is there."""
    body = {"apiVersion": "atoll.dev/v1alpha1", "kind": "Profile", "metadata": {"name": name}}
    made = kube.post(PROFILES, json={**body, "spec": spec})
    if made.status_code == 409:
        headers = {"Content-Type": "application/merge-patch+json"}
        made = kube.patch(f"{PROFILES}/{name}", content=json.dumps({"spec": spec}), headers=headers)
    made.raise_for_status()


def said(kube: httpx2.Client, name: str) -> dict[str, Any]:
    """The condition Valid; empty as long as there is none."""
    status = kube.get(f"{PROFILES}/{name}").json().get("status") or {}
    found = [c for c in status.get("conditions") or [] if c["type"] == "Valid"]
    return {**found[0], "of": status["observedGeneration"]} if found else {}


@pytest.mark.parametrize(
    ("part", "reason", "words"),
    [
        ({"ray": {"version": "2.9.0"}}, "VersionRefused", "/spec/ray/version: 2.9.0 is too old"),
        ({"redis": {"memory": "plenty"}}, "StoredInvalid", "/spec/redis/memory"),
    ],
)
def test_what_kubectl_wrote_wrong_is_said_and_said_again_when_mended(
    kube: httpx2.Client, api: httpx2.Client, part: dict[str, Any], reason: str, words: str
) -> None:
    name = f"bad-{reason.lower()}"
    spec = profile(name)["spec"]
    by_kubectl(kube, name, {**spec, **part})
    try:
        until(lambda: said(kube, name).get("reason") == reason, "the condition says so")
        told = said(kube, name)
        assert (told["status"], told["of"], told["observedGeneration"]) == ("False", 1, 1)
        assert words in told["message"]
        read = api.get(f"/v1/profiles/{name}")
        if reason == "StoredInvalid":
            assert (read.status_code, read.json()["detail"]) == (409, told["message"])
        else:
            (shown,) = read.json()["status"]["conditions"]
            assert shown["message"] == told["message"]
        by_kubectl(kube, name, {**spec, "redis": {"memory": "128Mi"}})
        until(lambda: said(kube, name).get("of") == 2, "the mended one is judged")
        told = said(kube, name)
        assert (told["status"], told["reason"], told["observedGeneration"]) == ("True", "Valid", 2)
    finally:
        kube.delete(f"{PROFILES}/{name}").raise_for_status()


def test_kubectl_waits_for_the_condition_of_one_that_the_api_made(
    api: httpx2.Client, api_server: Path
) -> None:
    kubectl = [installed("kubectl", CACHE), "--kubeconfig", str(api_server)]
    api.post("/v1/profiles", json=profile("waited")).raise_for_status()
    for wait in ("condition=Valid", "condition=Valid=True"):
        done = subprocess.run(
            [*kubectl, "wait", f"--for={wait}", "profile/waited", "--timeout=30s"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    etag = api.get("/v1/profiles/waited").headers["ETag"]
    gone = api.delete("/v1/profiles/waited", headers={"If-Match": etag})
    assert gone.status_code == 204  # what is said of it makes no revision stale
