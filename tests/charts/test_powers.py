"""What the API server itself says each account of the platform may do."""

import json
import subprocess
from typing import Any

import pytest
import yaml

from atoll.hosts.toolchain import cache_folder
from charts.installed import (
    ACCESS,
    ELSEWHERE,
    GROUPS,
    SYSTEM,
    TENANT,
    Finished,
    Kubectl,
    config_map,
    user,
)
from charts.powers import ALLOWED, DENIED, Asked
from charts.rendering import helm_binary


def review(account: str, verb: str, target: str, namespace: str) -> dict[str, Any]:
    """A SubjectAccessReview for one of the platform's accounts."""
    resource, _, group = target.partition(".")
    resource, _, subresource = resource.partition("/")
    name, _, resource = resource.rpartition(":")
    attributes = {
        "verb": verb, "resource": resource, "group": group, "namespace": namespace,
        "subresource": subresource, "name": name,
    }  # fmt: skip
    return {
        "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
        "spec": {"user": user(account), "groups": list(GROUPS), "resourceAttributes": attributes},
    }  # fmt: skip


def answers(kubectl: Kubectl, account: str, asked: Asked) -> dict[tuple[str, str, str], bool]:
    """(verb, target, place) -> whether the API server allows it, all asked in one go."""
    single = [(verb, target, place) for verbs, target, place in asked for verb in verbs.split()]
    assert single
    reviews = [review(account, verb, target, PLACES[place]) for verb, target, place in single]
    given = {"apiVersion": "v1", "kind": "List", "items": reviews}
    answer = kubectl("create", "-f", "-", "-o", "jsonpath=[{.status.allowed}]", given=given).stdout
    words = answer.strip("[]").split("][")
    assert len(words) == len(single)
    return {ask: word == "true" for ask, word in zip(single, words, strict=True)}


PLACES = {
    "": "",
    "system": SYSTEM,
    "access": ACCESS,
    "mirror": f"{ACCESS}-mirror",
    "tenant": TENANT,
    "kube-system": "kube-system",
}


@pytest.mark.parametrize("account", ALLOWED)
def test_allowed(account: str, tenant: str, kubectl: Kubectl) -> None:
    found = answers(kubectl, account, ALLOWED[account])
    assert [ask for ask, allowed in found.items() if not allowed] == []


@pytest.mark.parametrize("account", DENIED)
def test_denied(account: str, tenant: str, kubectl: Kubectl) -> None:
    found = answers(kubectl, account, DENIED[account])
    assert [ask for ask, allowed in found.items() if allowed] == []


def test_the_worker_writes_only_where_virtual_clusters_are(tenant: str, kubectl: Kubectl) -> None:
    worker = "atoll-worker"
    inside = kubectl.apply(config_map("mine", "9"), account=worker)
    assert inside.returncode == 0, inside.stderr
    for place in ("kube-system", ELSEWHERE, SYSTEM):
        answer = kubectl.apply(config_map("mine", "9", place), account=worker)
        assert f"does not write /configmaps in namespace {place}" in answer.stderr
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "another"}}
    assert "begins with vc-" in kubectl.apply(namespace, account=worker).stderr
    assert (
        "begins with vc-"
        in kubectl("delete", "namespace", ELSEWHERE, account=worker, check=False).stderr
    )
    assert kubectl.get("namespace", ELSEWHERE)["status"]["phase"] == "Active"


def test_the_mirror_changes_one_note_of_shared_namespaces(tenant: str, kubectl: Kubectl) -> None:
    for name, mode in (("vc-pool", "shared"), ("vc-lone", "dedicated")):
        meta = {"name": name, "labels": {"atoll.dev/mode": mode}, "annotations": {"kept": "yes"}}
        kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})

    def tried(name: str, change: dict[str, Any]) -> str:
        patch = json.dumps({"metadata": change})
        return kubectl("patch", "namespace", name, "--type=merge", "-p", patch,
                       account="atoll-follower", check=False).stderr  # fmt: skip

    own = {"annotations": {"atoll.dev/gangs": ",a=ray,"}}
    assert tried("vc-pool", own) == ""
    assert tried("vc-pool", {"annotations": {"atoll.dev/gangs": None}}) == ""
    for name, change in (
        ("vc-lone", own),
        ("kube-system", own),
        ("vc-pool", {"annotations": {"kept": "no"}}),
        ("vc-pool", {"annotations": {"kept": None}}),
        ("vc-pool", {"annotations": {"atoll.dev/nodes": "n1"}}),
        ("vc-pool", {"labels": {"pod-security.kubernetes.io/enforce": "privileged"}}),
        ("vc-pool", {"labels": {"atoll.dev/mode": "dedicated"}}),
    ):
        assert "changes nothing of a namespace but the annotation" in tried(name, change), change


def test_the_worker_cannot_give_more_than_it_has(tenant: str, kubectl: Kubectl) -> None:
    def role(kind: str, name: str, verb: str, resource: str) -> dict[str, Any]:
        meta = {"name": name, **({"namespace": tenant} if kind == "Role" else {})}
        rule = {"apiGroups": [""], "resources": [resource], "verbs": [verb]}
        return {
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": meta, "rules": [rule],
        }  # fmt: skip

    def write(*what: str) -> Finished:
        return kubectl.apply(role(*what), account="atoll-worker")

    assert write("Role", "ok", "get", "pods").returncode == 0
    assert write("ClusterRole", "vc-ok", "get", "nodes").returncode == 0
    refusal = "attempting to grant RBAC permissions"
    assert refusal in write("Role", "more", "get", "serviceaccounts/token").stderr
    assert refusal in write("Role", "all", "*", "*").stderr
    assert "begins with vc-" in write("ClusterRole", "atoll-worker", "get", "pods").stderr


def test_the_worker_marks_nodes_and_changes_nothing_else_of_them(
    tenant: str, kubectl: Kubectl
) -> None:
    name = "a-node"
    kubectl.apply(
        {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"zone": "a"}}}
    )
    try:

        def patch(body: dict[str, Any]) -> Finished:
            return kubectl(
                "patch",
                "node",
                name,
                "--type=merge",
                "-p",
                json.dumps(body),
                account="atoll-worker",
                check=False,
            )

        owned = patch({"metadata": {"labels": {"atoll.dev/virtual-cluster": "charts"}}})
        assert owned.returncode == 0, owned.stderr
        for body in (
            {"metadata": {"labels": {"zone": "b"}}},
            {"metadata": {"labels": {"zone": None}}},
            {"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}},
            {
                "metadata": {
                    "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "x"}
                }
            },
            {"spec": {"unschedulable": True}},
            {"spec": {"taints": [{"key": "k", "effect": "NoExecute"}]}},
            {
                "metadata": {"annotations": {"atoll.dev/draining-since": "now"}},
                "spec": {"unschedulable": True, "taints": [{"key": "k", "effect": "NoExecute"}]},
            },
        ):
            assert "only labels and annotations under atoll.dev/" in patch(body).stderr, body
        for mark, cordoned in (("2026-01-01T00:00:00+00:00", True), (None, None)):
            marked = {"annotations": {"atoll.dev/draining-since": mark}}
            drain = patch({"metadata": marked, "spec": {"unschedulable": cordoned}})
            assert drain.returncode == 0, drain.stderr
        freed = patch({"metadata": {"labels": {"atoll.dev/virtual-cluster": None}}})
        assert freed.returncode == 0, freed.stderr
    finally:
        kubectl("delete", "node", name)


def test_the_worker_can_install_the_real_vcluster_chart(tenant: str, kubectl: Kubectl) -> None:
    """Its roles are part of the worker's, so that neither escalate nor bind is needed."""
    archives = sorted((cache_folder() / "bundle" / "charts").glob("vcluster-*.tgz"))
    if not archives:
        pytest.skip("no bundle with a vcluster chart on this machine (atoll bundle pull makes one)")
    values = {
        "controlPlane": {
            "statefulSet": {"image": {"repository": "loft-sh/vcluster-oss"}},
            "distro": {"k8s": {"scheduler": {"enabled": True}}},
        },
        "sync": {"toHost": {"podDisruptionBudgets": {"enabled": True}}, "fromHost": {
            "nodes": {"enabled": True, "selector": {"labels": {"atoll.dev/virtual-cluster": "charts"}}},
            "priorityClasses": {"enabled": True}, "runtimeClasses": {"enabled": True},
            "ingressClasses": {"enabled": True},
        }},
        "networking": {
            "replicateServices": {"fromHost": [{"from": f"{tenant}/redis", "to": "ray/redis"}]},
            "advanced": {"proxyKubelets": {"byHostname": False, "byIP": False}},
        },
    }  # fmt: skip
    text = subprocess.run(
        [helm_binary(), "template", "charts", str(archives[-1]), "-n", tenant, "-f", "-"],
        input=yaml.safe_dump(values), check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    objects = [o for o in yaml.safe_load_all(text) if o]
    assert {"Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding", "StatefulSet"} <= {
        o["kind"] for o in objects
    }
    for item in objects:
        answer = kubectl.apply(item, "-n", tenant, account="atoll-worker")
        assert answer.returncode == 0, answer.stderr
