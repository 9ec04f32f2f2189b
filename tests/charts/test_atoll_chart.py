"""The platform's chart: which process runs how, and what each may do."""

from typing import Any

import pytest
import yaml

from atoll.cluster.bootstrap import POLICIES
from atoll.settings import Settings
from charts.rendering import HELM, Rendered, render, template

PROCESSES = {
    "api": ["python", "-m", "atoll.main", "api"],
    "gateway": ["python", "-m", "atoll.main", "gateway"],
    "worker": ["celery", "-A", "atoll_worker.app", "worker", "--concurrency=2"],
    "follower": ["python", "-m", "atoll_worker.follow"],
}
MODES = ("kind", "production", "air-gapped")


def kind_mode(*arguments: str) -> Rendered:
    return render("atoll", "kind", *arguments)


def container(rendered: Rendered, part: str) -> dict[str, Any]:
    spec = rendered.one("Deployment", f"atoll-{part}")["spec"]["template"]["spec"]
    found: dict[str, Any] = spec["containers"][0]
    return found


def environment(rendered: Rendered, part: str) -> dict[str, str]:
    """What a process is told, without the values that come from Secrets."""
    own = {v["name"]: v["value"] for v in container(rendered, part)["env"] if "value" in v}
    return {**rendered.one("ConfigMap", "atoll-settings")["data"], **own}


@pytest.mark.parametrize("part", PROCESSES)
def test_each_process_runs_its_command_on_its_port(part: str) -> None:
    rendered = kind_mode()
    found = container(rendered, part)
    assert found["command"] == PROCESSES[part]
    assert found["image"] == "docker.io/library/atoll:0.1.0"
    (port,) = found["ports"]
    told = environment(rendered, part)
    assert str(port["containerPort"]) in (
        told.get("ATOLL_LISTEN_PORT"),
        told.get("ATOLL_METRICS_PORT"),
    )
    assert told["ATOLL_LISTEN_HOST"] == "0.0.0.0"
    assert told["ATOLL_REACH"] == "service"


def test_every_setting_that_is_given_is_one_the_code_reads() -> None:
    known = {f"ATOLL_{name.upper()}" for name in Settings.model_fields} | {
        "ATOLL_CACHE",
        "ATOLL_SERVICE",
    }
    rendered = render("atoll", "air-gapped")
    for part in PROCESSES:
        names = {v["name"] for v in container(rendered, part)["env"]}
        names |= set(rendered.one("ConfigMap", "atoll-settings")["data"])
        ours = {name for name in names if name.startswith("ATOLL_")}
        assert len(ours) > 10
        assert ours <= known


def test_only_the_processes_that_need_a_secret_get_it() -> None:
    rendered = kind_mode()
    with_token, with_password = set(), set()
    for part in PROCESSES:
        names = {v["name"] for v in container(rendered, part)["env"]}
        with_token |= {part} if "ATOLL_ADMIN_TOKEN_FILE" in names else set()
        with_password |= {part} if "BROKER_PASSWORD" in names else set()
    assert with_token == {"api", "gateway"}
    assert with_password == {"api", "worker", "follower"}


@pytest.mark.parametrize(
    ("mode", "url"),
    [
        ("kind", "http://atoll-api.atoll-system.svc:8080"),
        ("production", "https://atoll.example.com"),
    ],
)
def test_the_public_address(mode: str, url: str) -> None:
    assert environment(render("atoll", mode), "api")["ATOLL_API_URL"] == url


def test_an_image_by_digest_has_no_tag() -> None:
    image = container(render("atoll", "production"), "api")["image"]
    assert image.startswith("registry.example.com/atoll/atoll@sha256:")


def test_a_brokers_address_of_the_admins_own() -> None:
    rendered = render("atoll", "production")
    (url,) = [
        v["value"] for v in container(rendered, "worker")["env"] if v["name"] == "ATOLL_BROKER_URL"
    ]
    assert url == "redis://:$(BROKER_PASSWORD)@redis.example.com:6380/0"
    assert not [o for o in rendered.objects if o["kind"] == "StatefulSet"]


@pytest.mark.parametrize(
    ("key", "value", "source"),
    [
        (
            "persistentVolumeClaim",
            "b",
            {"persistentVolumeClaim": {"claimName": "b", "readOnly": True}},
        ),
        ("hostPath", "/b", {"hostPath": {"path": "/b", "type": "Directory"}}),
        ("image", "b:1", {"image": {"reference": "b:1", "pullPolicy": "IfNotPresent"}}),
    ],
)
def test_a_bundle_is_mounted_where_the_worker_looks(
    key: str, value: str, source: dict[str, Any]
) -> None:
    rendered = kind_mode("--set", f"bundle.{key}={value}")
    worker = rendered.one("Deployment", "atoll-worker")["spec"]["template"]["spec"]
    assert {"name": "bundle", **source} in worker["volumes"]
    assert {"name": "bundle", "mountPath": "/bundle", "readOnly": True} in worker["containers"][0][
        "volumeMounts"
    ]
    assert environment(rendered, "worker")["ATOLL_CHARTS"] == "/bundle/charts"
    assert "ATOLL_CHARTS" not in environment(rendered, "api")


def test_a_changed_setting_restarts_the_processes() -> None:
    def mark(rendered: Rendered) -> str:
        spec = rendered.one("Deployment", "atoll-worker")["spec"]["template"]
        return str(spec["metadata"]["annotations"]["atoll.dev/config-hash"])

    assert mark(kind_mode()) == mark(kind_mode("--set", "api.replicas=5"))
    assert mark(kind_mode()) != mark(kind_mode("--set", "lease=9"))


# What each may do.


def rules(rendered: Rendered, part: str, kind: str = "ClusterRole") -> list[dict[str, Any]]:
    found = [
        rule
        for role in rendered.of(kind)
        if role["metadata"]["name"] == f"atoll-{part}"
        for rule in role["rules"]
    ]
    assert found, f"{part} has no {kind}"
    return found


def powers(part_rules: list[dict[str, Any]]) -> set[tuple[str, str, str]]:
    """(group, resource, verb), one by one."""
    return {
        (group, resource, verb)
        for rule in part_rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@pytest.mark.parametrize("mode", MODES)
def test_no_rule_has_a_wildcard_or_a_way_to_more_power(mode: str) -> None:
    rendered = render("atoll", mode)
    for role in [*rendered.of("ClusterRole"), *rendered.of("Role")]:
        for rule in role["rules"]:
            assert set(rule) <= {"apiGroups", "resources", "verbs", "resourceNames"}
            said = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert not [word for word in said if "*" in word], role["metadata"]["name"]
            assert not {"escalate", "bind", "impersonate", "approve", "sign"} & set(rule["verbs"])
            assert not {"serviceaccounts/token", "nodes/proxy"} & set(rule["resources"])


def test_the_api_has_exactly_these_powers() -> None:
    rendered = kind_mode()
    own = {
        ("atoll.dev", resource, verb)
        for resource in ("teams", "profiles", "virtualclusters", "quotarequests")
        for verb in ("get", "list", "watch", "create", "update", "patch", "delete")
    }
    told = {
        ("atoll.dev", resource, verb)
        for resource in ("teams/status", "quotarequests/status")
        for verb in ("get", "update", "patch")
    }
    told.add(("atoll.dev", "profiles/status", "update"))
    history = {("atoll.dev", "quotarevisions", verb) for verb in ("get", "list", "watch", "create")}
    nodes = {("", "nodes", "get"), ("", "nodes", "list")}
    assert powers(rules(rendered, "api")) == own | told | history | nodes
    bound = [
        b["metadata"]["name"]
        for b in [*rendered.of("RoleBinding"), *rendered.of("ClusterRoleBinding")]
        if any(s["name"] == "atoll-api" for s in b["subjects"])
    ]
    assert bound == ["atoll-api"]


def test_the_gateway_reads_single_secrets_in_one_namespace() -> None:
    rendered = kind_mode()
    (role,) = [r for r in rendered.of("Role") if r["metadata"]["name"] == "atoll-gateway"]
    assert role["metadata"]["namespace"] == "atoll-access"
    assert powers(role["rules"]) == {("", "secrets", "get")}
    own = {("atoll.dev", kind, "get") for kind in ("virtualclusters", "profiles")}
    assert powers(rules(rendered, "gateway")) == own | {("", "nodes", "list")}


def test_the_follower_writes_the_ledger_and_drops_leases_and_sees_no_secret() -> None:
    leases = {("coordination.k8s.io", "leases", verb) for verb in ("list", "delete")}
    assert powers(rules(kind_mode(), "follower", "Role")) == leases
    found = powers(rules(kind_mode(), "follower"))
    reads = {"get", "list", "watch"}
    assert {resource for _, resource, verb in found if verb not in reads} == {"teams/status"}
    seen = {"virtualclusters", "statefulsets", "resourcequotas", "services", "teams"}
    assert {resource for _, resource, verb in found if verb in reads} == seen
    # Without watch it would list anew every second, and hear of no change in between.
    assert {resource for _, resource, verb in found if verb == "watch"} == seen


def test_the_mirror_writes_gangs_and_their_names_and_reads_only_its_own_secrets() -> None:
    rendered = kind_mode()
    found = rules(rendered, "mirror")
    assert {resource for _, resource, _ in powers(found)} == {"podgroups", "queues", "namespaces"}
    (role,) = [
        r
        for r in rendered.of("Role")
        if r["metadata"]["name"] == "atoll-mirror" and r["rules"][0]["resources"] == ["secrets"]
    ]
    assert role["metadata"]["namespace"] == "atoll-access-mirror"
    assert powers(role["rules"]) == {("", "secrets", verb) for verb in ("get", "list", "watch")}


def test_only_the_worker_reads_secrets_everywhere() -> None:
    rendered = kind_mode()
    able = {
        role["metadata"]["name"]
        for role in rendered.of("ClusterRole")
        if any(resource == "secrets" for _, resource, _ in powers(role["rules"]))
    }
    assert able == {"atoll-worker"}


def test_extra_rules_reach_the_worker() -> None:
    rule = '[{"apiGroups":["networking.k8s.io"],"resources":["ingresses"],"verbs":["get"]}]'
    rendered = kind_mode("--set-json", f"worker.extraRules={rule}")
    assert ("networking.k8s.io", "ingresses", "get") in powers(rules(rendered, "worker"))


def test_every_binding_names_a_role_and_an_account_that_exist() -> None:
    rendered = kind_mode()
    accounts = {o["metadata"]["name"] for o in rendered.of("ServiceAccount")}
    for kind in ("RoleBinding", "ClusterRoleBinding"):
        for binding in rendered.of(kind):
            role = binding["roleRef"]
            same_place = [
                r
                for r in rendered.of(role["kind"])
                if r["metadata"]["name"] == role["name"]
                and r["metadata"].get("namespace") == binding["metadata"].get("namespace")
            ]
            assert len(same_place) == 1, binding["metadata"]["name"]
            assert {s["name"] for s in binding["subjects"]} <= accounts
            assert {s["namespace"] for s in binding["subjects"]} == {"atoll-system"}


# Who may talk to whom.


def test_the_gateway_and_the_broker_are_reached_only_by_the_platform() -> None:
    rendered = kind_mode()
    (gateway,) = rendered.one("NetworkPolicy", "atoll-gateway")["spec"]["ingress"]
    (peer,) = gateway["from"]
    assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "api"
    (broker,) = rendered.one("NetworkPolicy", "atoll-broker")["spec"]["ingress"]
    (peer,) = broker["from"]
    assert peer["podSelector"]["matchExpressions"][0]["values"] == [
        "api",
        "worker",
        "follower",
    ]


def test_only_gateway_worker_and_the_mirror_reach_virtual_control_planes() -> None:
    rendered = kind_mode()
    able = [
        p["metadata"]["name"]
        for p in rendered.of("NetworkPolicy")
        if any({"protocol": "TCP", "port": 8443} in r["ports"] for r in p["spec"].get("egress", []))
    ]
    assert able == ["atoll-gateway", "atoll-worker", "atoll-follower"]


def test_metrics_are_for_those_who_were_named() -> None:
    named = render("atoll", "production").one("NetworkPolicy", "atoll-follower")["spec"]["ingress"]
    assert named[0]["from"][0]["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": "monitoring"
    }
    assert not kind_mode().one("NetworkPolicy", "atoll-follower")["spec"]["ingress"]


def test_the_policies_are_the_ones_of_the_file_that_up_applies() -> None:
    raw = [m for file in POLICIES for m in yaml.safe_load_all(file.read_text())]
    rendered = kind_mode()
    assert len(raw) >= 4
    for item in raw:
        found = rendered.one(item["kind"], item["metadata"]["name"])
        for part in set(item) - {"metadata"}:
            assert found[part] == item[part]


def test_notes_tell_the_next_commands() -> None:
    answer = template("atoll", HELM / "atoll" / "ci" / "kind-values.yaml", "--debug")
    assert answer.returncode == 0
    text = (HELM / "atoll" / "templates" / "NOTES.txt").read_text()
    for word in ("port-forward", "admin-token", "atoll team create", "helm show crds"):
        assert word in text


def test_two_versions_of_the_worker_never_run_at_once() -> None:
    """They would upgrade one another's releases to and fro."""
    worker = kind_mode().one("Deployment", "atoll-worker")
    assert worker["spec"]["strategy"] == {"type": "Recreate"}


def test_a_rollback_is_told_to_the_worker() -> None:
    given = [
        environment(kind_mode(*arguments), "worker")["ATOLL_TAKE_OVER_NEWER"]
        for arguments in ((), ("--set", "worker.takeOverNewer=true"))
    ]
    assert [Settings.model_validate({"take_over_newer": v}).take_over_newer for v in given] == [
        False,
        True,
    ]
