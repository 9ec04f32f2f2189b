"""Objects of ours inside a virtual cluster, made by pure functions."""

from collections.abc import Mapping
from typing import Any

from atoll.cluster.client import Object
from atoll.domain.names import RAY_NAMESPACE, SYSTEM_NAMESPACE

_RBAC = "rbac.authorization.k8s.io/v1"
ROLES = ("owner", "member", "viewer")
_RAY_READ = {"apiGroups": ["ray.io"], "resources": ["*"], "verbs": ["get", "list", "watch"]}
_RAY_ALL = {"apiGroups": ["ray.io"], "resources": ["*"], "verbs": ["*"]}


def access_manifests(labels: dict[str, str], redis_password: str) -> list[Object]:
    """Namespaces, ServiceAccounts and roles, and Redis' password (base64) for Ray heads."""
    return [
        _object("v1", "Namespace", RAY_NAMESPACE, labels),
        _object("v1", "Namespace", SYSTEM_NAMESPACE, labels),
        *(_account(name, labels) for name in (*ROLES, "atoll-gateway")),
        _cluster_role("atoll-member-ray", labels, [_RAY_ALL]),
        _cluster_role("atoll-viewer-ray", labels, [_RAY_READ]),
        _cluster_role("atoll-gateway", labels, _gateway_rules()),
        _binding("atoll-owner", "owner", "cluster-admin", labels),
        _binding("atoll-member", "member", "edit", labels),
        _binding("atoll-member-ray", "member", "atoll-member-ray", labels),
        _binding("atoll-viewer", "viewer", "view", labels),
        _binding("atoll-viewer-ray", "viewer", "atoll-viewer-ray", labels),
        _binding("atoll-gateway", "atoll-gateway", "atoll-gateway", labels),
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "redis", "namespace": RAY_NAMESPACE, "labels": labels},
            "type": "Opaque",
            "data": {"password": redis_password},
        },
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


_RAY_RULES = [
    {
        "apiGroups": ["ray.io"],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["rayclusters", "rayjobs", "rayservices"],
    }
]


def policy_manifests(
    required: Mapping[str, str], labels: dict[str, str], *, mutate: bool
) -> list[Object]:
    """Admission inside: every Ray workload is in the team's queue, whoever makes it.

    `required` are the labels it must carry: label -> the value, as a CEL expression (see
    `schedulers.policies.queue_rule`). `mutate` adds them where the Kubernetes version serves
    MutatingAdmissionPolicy as v1 (1.36); validation holds in any case.
    """
    made = [_validating(required, labels), _policy_binding("Validating", labels)]
    if mutate:
        made += [_mutating(required, labels), _policy_binding("Mutating", labels)]
    return made


def _validating(required: Mapping[str, str], labels: dict[str, str]) -> Object:
    return {
        **_object(
            "admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy", "atoll-ray", labels
        ),
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": _RAY_RULES},
            "validations": [_carries(label, value) for label, value in required.items()],
        },
    }


def _carries(label: str, value: str) -> dict[str, str]:
    held = f"has(object.metadata.labels) && '{label}' in object.metadata.labels"
    return {
        "expression": f"{held} && object.metadata.labels['{label}'] == {value}",
        "messageExpression": f"'Set the label {label} to ' + {value} + ': Ray workloads run "
        "gang-scheduled in the queue of their team.'",
        "reason": "Forbidden",
    }


def _mutating(required: Mapping[str, str], labels: dict[str, str]) -> Object:
    pairs = ", ".join(f"'{label}': {value}" for label, value in required.items())
    expression = "Object{metadata: Object.metadata{labels: {" + pairs + "}}}"
    return {
        **_object(
            "admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy", "atoll-ray", labels
        ),
        "spec": {
            "failurePolicy": "Fail",
            "reinvocationPolicy": "IfNeeded",
            "matchConstraints": {"resourceRules": _RAY_RULES},
            "mutations": [
                {
                    "patchType": "ApplyConfiguration",
                    "applyConfiguration": {"expression": expression},
                }
            ],
        },
    }


def _policy_binding(kind: str, labels: dict[str, str]) -> Object:
    spec: dict[str, Any] = {"policyName": "atoll-ray"}
    if kind == "Validating":
        spec["validationActions"] = ["Deny"]
    name = f"{kind}AdmissionPolicyBinding"
    return {**_object("admissionregistration.k8s.io/v1", name, "atoll-ray", labels), "spec": spec}
