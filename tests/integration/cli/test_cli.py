"""Every noun that needs no worker, as a person would use it."""

import json

import yaml

from builders.api_process import TEMPLATE
from waiting import until

from .conftest import Run


def test_a_team_from_birth_to_end(cli: Run) -> None:
    made = cli("team", "create", "cli-a", "--quota", "cpu=8,memory=16Gi", "--member", "ada=owner",
               "-o", "json")  # fmt: skip
    assert made.code == 0, made.err
    assert json.loads(made.out)["spec"]["quota"]["cpu"] == {"limit": "8"}

    again = cli("team", "create", "cli-a")
    assert again.code == 7
    assert again.out == ""

    changed = cli("team", "update", "cli-a", "--quota", "cpu=12", "-o", "yaml")
    assert yaml.safe_load(changed.out)["spec"]["quota"]["cpu"]["limit"] == "12"
    assert yaml.safe_load(changed.out)["spec"]["quota"]["memory"]["limit"] == "16Gi"

    wrong = cli("team", "get", "cli-b")
    assert (wrong.code, "Did you mean 'cli-a'?" in wrong.err) == (6, True)

    assert cli("team", "delete", "cli-a").code == 2
    assert cli("team", "delete", "cli-a", "--yes").code == 0
    assert cli("team", "get", "cli-a").code == 6


def test_a_quota_from_the_first_line_to_the_last_request(cli: Run) -> None:
    assert cli("team", "create", "cli-top", "--quota", "cpu=16").code == 0
    assert cli("team", "create", "cli-kid", "--parent", "cli-top", "--quota", "cpu=8").code == 0
    over = cli("quota", "set", "cli-kid", "--limit", "cpu=17")
    assert (over.code, "more than the limit of the team above" in over.err) == (2, True)
    done = cli(
        "quota", "set", "cli-kid", "--limit", "cpu=10", "--guaranteed", "cpu=4", "--note", "why"
    )
    assert done.code == 0, done.err
    assert json.loads(cli("quota", "get", "cli-top", "-o", "json").out)["use"][0]["free"] == "12"

    dry = cli("vc", "create", "cli-held", "--team", "cli-kid", "--nodes", f"{TEMPLATE}=1", "--quota",
              "cpu=6", "--no-wait")  # fmt: skip
    assert dry.code == 0, dry.err
    refused = cli("quota", "set", "cli-kid", "--limit", "cpu=5")
    assert refused.code == 10
    assert "cpu: 6 reserved of 5, 1 over" in refused.err
    assert cli("quota", "set", "cli-kid", "--limit", "cpu=5", "--yes").code == 0
    history = json.loads(cli("quota", "history", "cli-kid", "-o", "json").out)["items"]
    assert [h["quota"]["cpu"]["limit"] for h in history] == ["5", "10", "8"]
    assert cli("quota", "revert", "cli-kid", str(history[-1]["number"])).code == 0

    name = cli("quota", "request", "cli-kid", "--limit", "cpu=12", "-o", "name").out.strip()
    assert name in cli("quota", "requests", "--state", "pending").out
    approved = cli("quota", "approve", name, "--note", "fine", "-o", "yaml")
    assert yaml.safe_load(approved.out)["state"] == "applied"
    assert cli("quota", "refuse", name).code == 7


def test_a_virtual_cluster_is_accepted(cli: Run) -> None:
    assert cli("team", "create", "cli-c", "--quota", "cpu=8").code == 0
    flags = ("--team", "cli-c", "--mode", "dedicated", "--no-wait", "--nodes", f"{TEMPLATE}=1")

    dry = cli("vc", "create", "cli-lab", *flags, "--quota", "cpu=4", "--dry-run")
    assert dry.code == 0, dry.err
    assert cli("vc", "get", "cli-lab").code == 6

    much = cli("vc", "create", "cli-lab", *flags, "--quota", "cpu=9")
    assert much.code == 9
    assert "9" in much.err
    assert "8" in much.err

    unknown = cli("vc", "create", "cli-lab", *flags, "--quota", "cpu=4", "--profile", "none")
    assert unknown.code == 2
    assert "/spec/profile" in unknown.err

    made = cli("vc", "create", "cli-lab", *flags, "--quota", "cpu=4", "-o", "name")
    assert (made.code, made.out) == (0, "cli-lab\n")
    assert "atoll operation wait" in made.err

    late = cli("vc", "wait", "cli-lab", "--timeout", "1s")
    assert late.code == 8
    identity = late.err.split("operation wait ")[1].split()[0]
    operation = json.loads(cli("operation", "get", identity, "-o", "json").out)
    assert (operation["target"], operation["state"]) == ("cli-lab", "running")

    listed = cli("vc", "list", "--team", "cli-c", "-o", "name")
    assert listed.out == "cli-lab\n"
    config = yaml.safe_load(cli("kubeconfig", "get", "cli-lab").out)
    assert "token" not in config["users"][0]["user"]


def test_apply_is_repeatable(cli: Run) -> None:
    text = f"""
apiVersion: atoll.dev/v1alpha1
kind: VirtualCluster
metadata: {{name: cli-applied}}
spec: {{team: cli-d, mode: dedicated, replicaSets: {{{TEMPLATE}: 1}}, quota: {{cpu: "2"}}}}
---
apiVersion: atoll.dev/v1alpha1
kind: Team
metadata: {{name: cli-d}}
spec: {{displayName: Dee, quota: {{cpu: {{limit: "4"}}}}}}
"""
    for _ in range(2):
        ended = cli("apply", "-f", "-", "--no-wait", "-o", "name", stdin=text)
        assert (ended.code, ended.out) == (0, "cli-d\ncli-applied\n"), ended.err
    found = json.loads(cli("vc", "get", "cli-applied", "-o", "json").out)
    assert found["generation"] == 1


def test_the_event_stream(cli: Run) -> None:
    cli("team", "create", "cli-e")
    cli("vc", "create", "cli-seen", "--team", "cli-e", "--nodes", f"{TEMPLATE}=1", "--no-wait")
    lines: list[str] = []

    def heard() -> bool:
        # The time of --for begins before the command has asked the API.
        follow = cli("event", "follow", "cli-seen", "--for", "5s", "-o", "json")
        assert follow.code == 0, follow.err
        lines.extend(follow.out.splitlines())
        return bool(lines)

    until(heard, "a line of the event stream", 60)
    first = json.loads(lines[0])
    assert (first["type"], first["object"]["name"]) == ("virtual-cluster.changed", "cli-seen")


def test_who_and_what(cli: Run) -> None:
    assert json.loads(cli("whoami", "-o", "json").out)["roles"] == ["admin"]
    versions = json.loads(cli("version", "-o", "json").out)
    assert versions["client"] == versions["server"]
    assert "default" in cli("profile", "list", "-o", "name").out.split()


def test_a_wrong_token_and_no_api(cli: Run) -> None:
    assert cli("team", "list", ATOLL_TOKEN="wrong").code == 4
    lost = cli("team", "list", ATOLL_API_URL="http://127.0.0.1:9")
    assert lost.code == 1
    assert "atoll up" in lost.err


def test_login_keeps_the_token_out_of_sight(cli: Run, running: object) -> None:
    url = running.url  # type: ignore[attr-defined]
    nowhere = {"ATOLL_API_URL": "", "ATOLL_TOKEN": ""}
    token = "test-token-of-this-run"
    ended = cli("login", url, stdin=f"{token}\n", **nowhere)
    assert ended.code == 0, ended.err
    assert token not in ended.out + ended.err
    assert cli("whoami", "-o", "name", **nowhere).out == "admin\n"
