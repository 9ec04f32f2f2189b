"""What commands send: flags, files, working directories."""

import json
from pathlib import Path

import httpx2
import pytest

from atoll.client.packages import pack
from fakes.atoll_api import FakeApi, Stream, team, virtual_cluster

from .conftest import Run

JOBS = "virtual-clusters/lab/ray-jobs"


def job(name: str, status: str, **more: str) -> dict[str, str]:
    return {"name": name, "cluster": "main", "status": status, "entrypoint": "x", **more}


def logs(*pieces: str) -> httpx2.Response:
    return httpx2.Response(200, headers={"Content-Type": "text/plain"}, stream=Stream(list(pieces)))


def test_flags_of_a_virtual_cluster(api: FakeApi, cli: Run) -> None:
    api.when("POST", "virtual-clusters", virtual_cluster("lab"))
    cli("vc", "create", "lab", "--team", "vision", "--nodes", "4c8g=2,8c16g=1", "--quota", "cpu=4",
        "--quota", "memory=8Gi", "--ray-cluster", "main=3", "--no-wait")  # fmt: skip
    (body,) = api.bodies("POST")
    assert body["name"] == "lab"
    assert body["spec"]["replicaSets"] == {"4c8g": 2, "8c16g": 1}
    assert body["spec"]["quota"] == {"cpu": "4", "memory": "8Gi"}
    assert [(r["name"], r["workers"]) for r in body["spec"]["rayClusters"]] == [("main", 3)]


def test_a_file_with_flags_over_it(api: FakeApi, cli: Run, tmp_path: Path) -> None:
    api.when("POST", "virtual-clusters", virtual_cluster("lab"))
    file = tmp_path / "lab.yaml"
    file.write_text(
        "apiVersion: atoll.dev/v1alpha1\nkind: VirtualCluster\nmetadata: {name: lab}\n"
        "spec: {team: vision, profile: previous, divisible: true}\n"
    )
    cli("vc", "create", "-f", str(file), "--profile", "default", "--no-wait")
    (body,) = api.bodies("POST")
    assert (body["name"], body["spec"]["profile"], body["spec"]["divisible"]) == (
        "lab", "default", True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: VirtualCluster\nmetadata: {name: lab}\nspec: {team: v, colour: x}", "/spec/colour"),
        (
            "kind: VirtualCluster\nmetadata: {name: lab}\nspec: {team: v, quota: {cpu: -1}}",
            "/spec/quota",
        ),
        (
            "kind: VirtualCluster\nmetadata: {name: lab}\nspec: {team: v, replicaSets: many}",
            '/spec/replicaSets: must be an object of names and values; "many" was given',
        ),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: lab}", "apiVersion"),
        ("kind: VirtualCluster\nspec: {}", "metadata.name"),
        ("kind: Team\nmetadata: {name: t}", "exactly one VirtualCluster"),
        ("{", "cannot be read"),
        ("", "no objects"),
        ("- 1", "an object is expected"),
    ],
)
def test_files_that_are_wrong(
    api: FakeApi, cli: Run, tmp_path: Path, text: str, words: str
) -> None:
    (tmp_path / "x.yaml").write_text(text)
    ended = cli("vc", "create", "-f", str(tmp_path / "x.yaml"))
    assert ended.code == 2
    assert words in ended.err
    assert api.asked == []


def test_apply_makes_or_changes_in_order(api: FakeApi, cli: Run, tmp_path: Path) -> None:
    api.when("GET", "teams/vision", team("vision"))
    api.when("PATCH", "teams/vision", team("vision"))
    api.when("POST", "virtual-clusters", virtual_cluster("lab"))
    file = tmp_path / "all.yaml"
    file.write_text(
        "kind: VirtualCluster\nmetadata: {name: lab}\nspec: {team: vision}\n---\n"
        "kind: Team\nmetadata: {name: vision}\nspec: {displayName: Vision}\n"
    )
    ended = cli("apply", "-f", str(file), "--no-wait")
    assert ended.code == 0, ended.err
    writes = [(r.method, r.url.path) for r in api.asked if r.method != "GET"]
    assert writes == [("PATCH", "/v1/teams/vision"), ("POST", "/v1/virtual-clusters")]
    (patch,) = [r for r in api.asked if r.method == "PATCH"]
    assert patch.headers["if-match"] == '"7"'


def test_the_only_virtual_cluster_needs_no_name(api: FakeApi, cli: Run) -> None:
    api.when("GET", "virtual-clusters", {"items": [virtual_cluster("lab")]})
    api.when("GET", JOBS, {"items": [job("j1", "RUNNING")]})
    assert "j1" in cli("job", "list").out
    api.when("GET", "virtual-clusters", {"items": [virtual_cluster("lab"), virtual_cluster("x")]})
    ended = cli("job", "list")
    assert ended.code == 2
    assert "lab, x" in ended.err


def test_the_last_lines_of_a_pod(api: FakeApi, cli: Run) -> None:
    api.when("GET", "virtual-clusters/lab/ray-clusters/main/logs", logs("nine\n", "ten\n"))
    ended = cli("ray", "logs", "main", "--vc", "lab", "--pod", "main-head-x", "--tail", "2")
    assert (ended.code, ended.out) == (0, "nine\nten\n")
    assert dict(api.asked[-1].url.params) == {"pod": "main-head-x", "tail": "2"}
    assert cli("ray", "logs", "main", "--vc", "lab", "--tail", "-1").code == 2


def test_a_job_with_its_folder(api: FakeApi, cli: Run, tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("print(1)")
    api.when("POST", JOBS, job("j1", "PENDING"))
    api.when("GET", f"{JOBS}/j1", job("j1", "SUCCEEDED"))
    api.when("GET", f"{JOBS}/j1/logs", logs("one\n", "two\n"))
    sent: list[str] = []

    def upload(request: httpx2.Request) -> httpx2.Response:
        sent.append(request.url.path)
        return httpx2.Response(200)

    package = "virtual-clusters/lab/ray-clusters/main/proxy/api/packages/gcs/"
    api.when("PUT", package + pack(tmp_path).name, upload)
    ended = cli("job", "submit", "--vc", "lab", "--cluster", "main", "--working-dir", str(tmp_path),
                "--env", "A=1", "--", "python", "x.py", "--name", "a b")  # fmt: skip
    assert ended.code == 0, ended.err
    assert ended.out == "one\ntwo\n"
    assert "SUCCEEDED" in ended.err
    (body,) = api.bodies("POST")
    assert body["entrypoint"] == "python x.py --name 'a b'"
    assert body["runtimeEnv"]["env_vars"] == {"A": "1"}
    assert body["runtimeEnv"]["working_dir"] == f"gcs://{sent[0].rpartition('/')[2]}"


def test_a_failed_job_ends_with_1(api: FakeApi, cli: Run) -> None:
    api.when("POST", JOBS, job("j1", "PENDING"))
    api.when("GET", f"{JOBS}/j1", job("j1", "FAILED", message="exit code 3"))
    api.when("GET", f"{JOBS}/j1/logs", lambda _: logs("oops\n"))
    arguments = ("job", "submit", "--vc", "lab", "--cluster", "main")
    ended = cli(*arguments, "--", "false")
    assert ended.code == 1
    assert "exit code 3" in ended.err
    assert "next: atoll job logs j1 --vc lab" in ended.err
    ended = cli(*arguments, "-o", "json", "--", "false")
    assert json.loads(ended.out)["status"] == "FAILED"
    assert "oops" in ended.err


def test_no_wait_for_a_job(api: FakeApi, cli: Run) -> None:
    api.when("POST", JOBS, job("j1", "PENDING"))
    ended = cli("job", "submit", "--vc", "lab", "--cluster", "main", "--no-wait", "-o", "name",
                "--", "true")  # fmt: skip
    assert ended.out == "j1\n"
    assert len(api.asked) == 1


def test_the_version_needs_no_api(cli: Run) -> None:
    ended = cli("--version", url=None)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("atoll ")


def test_a_preview_of_a_quota_changes_lines_and_keeps_the_others(api: FakeApi, cli: Run) -> None:
    lab = virtual_cluster("lab")
    lab["spec"]["quota"] = {"cpu": "8", "memory": "16Gi", "pods": "9"}
    api.when("GET", "virtual-clusters/lab", lab)
    line = {"resource": "cpu", "limitBefore": "8", "limitAfter": "4", "used": "5", "over": "1"}
    fit = {"name": "main", "demand": {"cpu": "6"}}
    refusal = {"pointer": "/spec/quota/cpu", "detail": "4 asked, 2 free"}
    seen = {
        "virtualCluster": "lab", "revision": "r", "lines": [line], "noLongerFit": [fit],
        "refused": [refusal], "needsConfirmation": False, "confirm": "fp",
    }  # fmt: skip
    api.when("POST", "virtual-clusters/lab/quota:preview", seen)
    ended = cli("vc", "preview", "lab", "--quota", "cpu=4", "--remove", "pods")
    assert ended.code == 0, ended.err
    (body,) = api.bodies("POST")
    assert body == {"quota": {"cpu": "4", "memory": "16Gi"}}
    assert "8 → 4" in ended.out
    assert "Ray cluster main would find no room (cpu=6)" in ended.err
    assert "would be refused: /spec/quota/cpu: 4 asked, 2 free" in ended.err
    assert json.loads(cli("vc", "preview", "lab", "--quota", "cpu=4", "-o", "json").out) == seen
    assert cli("vc", "preview", "lab").code == 2
    assert "would be accepted" not in ended.err
    api.when(
        "POST", "virtual-clusters/lab/quota:preview", seen | {"noLongerFit": [], "refused": []}
    )
    assert "would be accepted" in cli("vc", "preview", "lab", "--quota", "cpu=9").err


def test_a_line_of_a_virtual_clusters_quota_is_taken_out(api: FakeApi, cli: Run) -> None:
    lab = virtual_cluster("lab")
    api.when("GET", "virtual-clusters/lab", lab)
    api.when("PATCH", "virtual-clusters/lab", lab)
    ended = cli("vc", "update", "lab", "--quota", "cpu=4", "--remove", "pods", "--no-wait")
    assert ended.code == 0, ended.err
    (body,) = api.bodies("PATCH")
    assert body == {"spec": {"quota": {"cpu": "4", "pods": None}}}


def test_other_workers_leave_the_sizes_of_a_ray_cluster(api: FakeApi, cli: Run) -> None:
    lab = virtual_cluster("lab")
    lab["spec"]["rayClusters"] = [
        {"name": "main", "workers": 2, "workerCpu": "3", "headMemory": "6Gi"},
        {"name": "gone", "workers": 1},
    ]
    api.when("GET", "virtual-clusters/lab", lab)
    api.when("PATCH", "virtual-clusters/lab", lab)
    ended = cli("vc", "update", "lab", "--ray-cluster", "main=4,new=1", "--no-wait")
    assert ended.code == 0, ended.err
    (body,) = api.bodies("PATCH")
    main, new = body["spec"]["rayClusters"]
    assert (main["workers"], main["workerCpu"], main["headMemory"]) == (4, "3", "6Gi")
    assert new == {"name": "new", "workers": 1}


def test_lists_of_a_team_are_emptied(api: FakeApi, cli: Run) -> None:
    api.when("GET", "teams/vision", team("vision"))
    api.when("PATCH", "teams/vision", team("vision"))
    ended = cli("team", "update", "vision", "--profile", "", "--scheduler", "", "--member", "")
    assert ended.code == 0, ended.err
    (body,) = api.bodies("PATCH")
    assert body == {"spec": {"profiles": [], "schedulers": [], "members": []}}
    cli("team", "update", "vision", "--display-name", "Vision")
    assert api.bodies("PATCH")[1] == {"spec": {"displayName": "Vision"}}


def test_get_tells_use_and_what_does_not_hold_beside_the_data(api: FakeApi, cli: Run) -> None:
    lab = virtual_cluster("lab")
    lab["spec"]["quota"] = {"cpu": "8", "memory": "16Gi"}
    short = "Team 'vision' does not have enough left: cpu: 8 asked, 2 free of 16"
    lab["status"] |= {
        "used": {"cpu": "3"},
        "free": {"cpu": "5"},
        "conditions": [
            condition("Ready", "False", "QuotaExceeded", f"Reserve the quota: {short}"),
            condition("Admitted", "False", "QuotaExceeded", short),
            condition("NamespaceReady", "False", "WaitingForAdmitted", "Begins when it is so"),
            condition("QuotaReady", "True", "OverQuota", "cpu: 9 of 8, 1 over"),
            condition("RedisReady", "True", "Done", "Redis runs"),
        ],
    }
    api.when("GET", "virtual-clusters/lab", lab)
    ended = cli("vc", "get", "lab")
    assert len(ended.out.splitlines()) == 2
    assert ended.err.splitlines() == [
        "cpu: 3 used of 8, 5 free",
        f"Admitted: QuotaExceeded: {short}",
        "QuotaReady: OverQuota: cpu: 9 of 8, 1 over",
    ]
    assert cli("vc", "get", "lab", "-o", "name").err == ""


def test_a_ray_cluster_that_waits_is_told_with_what_is_free(api: FakeApi, cli: Run) -> None:
    lab = virtual_cluster("lab")
    lab["spec"]["quota"] = {"cpu": "3"}
    lab["status"] |= {"used": {"cpu": "2100m"}, "free": {"cpu": "900m"}}
    api.when("GET", "virtual-clusters/lab", lab)
    wide = {"name": "wide", "namespace": "ray", "state": "pending", "message": "ContainersNotReady"}
    api.when("GET", "virtual-clusters/lab/ray-clusters/wide", wide)
    ended = cli("ray", "get", "wide", "--vc", "lab")
    assert ended.err.splitlines() == [
        "pending: ContainersNotReady",
        "quota of lab: cpu: 2100m used of 3, 900m free",
    ]
    api.when("GET", "virtual-clusters/lab/ray-clusters/wide", wide | {"state": "ready"})
    assert cli("ray", "get", "wide", "--vc", "lab").err == ""


def condition(kind: str, status: str, reason: str, message: str) -> dict[str, str]:
    at = "2026-01-01T00:00:00Z"
    return {
        "type": kind, "status": status, "reason": reason, "message": message,
        "lastTransitionTime": at,
    }  # fmt: skip
