"""What a member of a team may write inside a virtual cluster, beside Ray's kinds."""

from typing import Any

_WRITE = ("create", "delete", "deletecollection", "patch", "update")


def member_rules() -> list[dict[str, Any]]:
    """Rules of the ClusterRole `atoll-member-edit`; the ClusterRole `view` goes with it.

    Those of Kubernetes' own `edit` (plugin/pkg/auth/authorizer/rbac/bootstrappolicy/policy.go), but for
    `impersonate` on ServiceAccounts: bound for all namespaces, it is the way to be the team's owner.
    Writes in the platform's own namespaces are refused by the policy `atoll-members`.
    """
    return [
        _rule("", ["pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"], _WRITE),
        _rule("", ["pods/eviction", "serviceaccounts/token"], ("create",)),
        _rule(
            "",
            [
                "pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets",
                "services/proxy",
            ],
            ("get", "list", "watch"),
        ),
        _rule(
            "",
            [
                "configmaps", "events", "persistentvolumeclaims", "replicationcontrollers",
                "replicationcontrollers/scale", "secrets", "serviceaccounts", "services",
                "services/proxy",
            ],
            _WRITE,
        ),
        _rule(
            "apps",
            [
                "daemonsets", "deployments", "deployments/rollback", "deployments/scale",
                "replicasets", "replicasets/scale", "statefulsets", "statefulsets/scale",
            ],
            _WRITE,
        ),
        _rule("autoscaling", ["horizontalpodautoscalers"], _WRITE),
        _rule("batch", ["cronjobs", "jobs"], _WRITE),
        _rule("policy", ["poddisruptionbudgets"], _WRITE),
        _rule("networking.k8s.io", ["ingresses", "networkpolicies"], _WRITE),
        _rule("coordination.k8s.io", ["leases"], ("get", "list", "watch", *_WRITE)),
    ]  # fmt: skip


def _rule(group: str, resources: list[str], verbs: tuple[str, ...]) -> dict[str, Any]:
    return {"apiGroups": [group], "resources": resources, "verbs": list(verbs)}
