"""Objects of ours inside a virtual cluster, made by pure functions."""

from typing import Any

from atoll.cluster.client import Object
from atoll.domain.names import RAY_NAMESPACE, SYSTEM_NAMESPACE
from atoll_worker.reconcile.member_role import member_rules

_RBAC = "rbac.authorization.k8s.io/v1"
ROLES = ("owner", "member", "viewer")
FORMER_BINDING = "atoll-member"
"""It gave members Kubernetes' own role `edit`; what it refers to cannot be changed, so it goes."""
_RAY_READ = {"apiGroups": ["ray.io"], "resources": ["*"], "verbs": ["get", "list", "watch"]}
_RAY_KINDS = ["rayclusters", "raycronjobs", "rayjobs", "rayservices"]
_RAY_ALL = {"apiGroups": ["ray.io"], "resources": _RAY_KINDS, "verbs": ["*"]}
"""Without their status, by which is told what has run: that is KubeRay's to write."""


def access_manifests(labels: dict[str, str]) -> list[Object]:
    """Namespaces, ServiceAccounts and roles."""
    return [
        _object("v1", "Namespace", RAY_NAMESPACE, labels),
        _object("v1", "Namespace", SYSTEM_NAMESPACE, labels),
        *(_account(name, labels) for name in (*ROLES, "atoll-gateway")),
        _cluster_role("atoll-member-ray", labels, [_RAY_ALL]),
        _cluster_role("atoll-viewer-ray", labels, [_RAY_READ]),
        _cluster_role("atoll-gateway", labels, _gateway_rules()),
        _binding("atoll-owner", "owner", "cluster-admin", labels),
        _cluster_role("atoll-member-edit", labels, member_rules()),
        _binding("atoll-member-edit", "member", "atoll-member-edit", labels),
        _binding("atoll-member-view", "member", "view", labels),
        _binding("atoll-member-ray", "member", "atoll-member-ray", labels),
        _binding("atoll-viewer", "viewer", "view", labels),
        _binding("atoll-viewer-ray", "viewer", "atoll-viewer-ray", labels),
        _binding("atoll-gateway", "atoll-gateway", "atoll-gateway", labels),
    ]


def mirror_manifests(labels: dict[str, str]) -> list[Object]:
    """Shared mode: what the gang mirror may do inside. Volcano's PodGroups have no status apart, so to tell
    their fate it may patch them. It deletes pods only of a gang whose name
    another virtual namespace has, before it gives the name to that one.
    """
    group = "scheduling.volcano.sh"
    rules = [
        {
            "apiGroups": [group],
            "resources": ["podgroups"],
            "verbs": ["get", "list", "watch", "patch"],
        },
        {"apiGroups": [group], "resources": ["podgroups/status"], "verbs": ["patch"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list", "delete"]},
    ]
    return [
        _account("atoll-mirror", labels),
        _cluster_role("atoll-mirror", labels, rules),
        _binding("atoll-mirror", "atoll-mirror", "atoll-mirror", labels),
    ]


def _gateway_rules() -> list[dict[str, Any]]:
    read = ["get", "list", "watch"]
    return [
        _RAY_ALL,
        {"apiGroups": [""], "resources": ["pods", "services", "events"], "verbs": read},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        {
            "apiGroups": [""],
            "resources": ["services/proxy"],
            "verbs": ["get", "create", "update", "patch", "delete"],
        },
        {
            "apiGroups": [""],
            "resources": ["serviceaccounts/token"],
            "resourceNames": list(ROLES),
            "verbs": ["create"],
        },
        {
            "apiGroups": ["scheduling.volcano.sh"],
            "resources": ["podgroups", "queues"],
            "verbs": read,
        },
    ]


def _object(api_version: str, kind: str, name: str, labels: dict[str, str]) -> Object:
    return {"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "labels": labels}}


def _account(name: str, labels: dict[str, str]) -> Object:
    made = _object("v1", "ServiceAccount", name, labels)
    made["metadata"]["namespace"] = SYSTEM_NAMESPACE
    return made


def _cluster_role(name: str, labels: dict[str, str], rules: list[dict[str, Any]]) -> Object:
    return {**_object(_RBAC, "ClusterRole", name, labels), "rules": rules}


def _binding(name: str, account: str, role: str, labels: dict[str, str]) -> Object:
    return {
        **_object(_RBAC, "ClusterRoleBinding", name, labels),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": SYSTEM_NAMESPACE}],
    }
