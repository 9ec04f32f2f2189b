"""All objects of the admission inside, from one record of what is to be enforced."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from atoll.cluster.client import Object
from atoll.domain.names import SYSTEM_NAMESPACE
from atoll.domain.priorities import PRIORITIES
from atoll.domain.schedulers import VOLCANO, Scheduler

_GROUP = "admissionregistration.k8s.io"
PLATFORM = "'system:masters' in request.userInfo.groups"
"""CEL: whether the worker asks; nobody else has the administrator's certificate."""
OPERATOR = (
    f"request.userInfo.username == 'system:serviceaccount:{SYSTEM_NAMESPACE}:kuberay-operator'"
)
"""CEL: whether KubeRay asks, under the account that its chart makes."""
SYSTEM_NAMESPACES = ("kube-system", SYSTEM_NAMESPACE)
"""Where the platform's own pods run; their share is the overhead of the host's quota."""


@dataclass(frozen=True)
class Enforced:
    """What the policies say. `quota` is the virtual cluster's own, as Kubernetes quantities.

    `labels`: what every Ray workload carries, label -> value in CEL (`schedulers.policies.queue_rule`).
    """

    queue: str
    virtual_cluster: str
    labels: Mapping[str, str]
    quota: Mapping[str, str] = field(default_factory=dict)
    scheduler: Scheduler = VOLCANO
    mutating: str | None = None
    """The version in which the API server serves MutatingAdmissionPolicy; None: not at all."""
    host_queue: str = ""
    """Shared mode: the host's queue of the virtual cluster, in which pods without a gang are placed."""

    @property
    def shared(self) -> bool:
        """Whether the host schedules its pods."""
        return bool(self.host_queue)


@dataclass(frozen=True)
class Rule:
    """One validation: `expression` must be true, else `message` (text) or `told` (CEL) is answered."""

    expression: str
    message: str
    told: str = ""

    def manifest(self) -> dict[str, str]:
        """As the API has it. `message` is the fallback when `told` cannot be computed."""
        made = {
            "expression": _one_line(self.expression), "message": self.message,
            "reason": "Forbidden",
        }  # fmt: skip
        return made | ({"messageExpression": _one_line(self.told)} if self.told else {})


@dataclass(frozen=True)
class Policy:
    """A policy with its binding, before it is a manifest."""

    name: str
    resources: Sequence[Mapping[str, Any]]
    conditions: Mapping[str, str] = field(default_factory=dict)
    """Name -> CEL. The policy is about a request only when all are true."""
    variables: Mapping[str, str] = field(default_factory=dict)
    rules: Sequence[Rule] = ()
    mutations: Sequence[str] = ()
    """CEL of apply configurations. A policy has either rules or mutations or patches."""
    patches: Sequence[str] = ()
    """CEL of JSON patches, for lists that an apply configuration may not touch."""
    tenants_only: bool = False
    """Only in namespaces other than the platform's own."""
    system_only: bool = False
    """Only in the platform's own namespaces."""
    warn: bool = False
    """Tell, do not refuse."""
    optional: bool = False
    """Let the request through as it is when the policy cannot be carried out."""
    parameters: tuple[str, str] | None = None
    """apiVersion and kind of what the rules call `params`: they must hold for each one that there is in
    the request's namespace."""

    @property
    def mutating(self) -> bool:
        """Whether it changes requests, rather than judging them."""
        return bool(self.mutations or self.patches)


def policy_objects(policy: Policy, labels: Mapping[str, str], version: str = "v1") -> list[Object]:
    """The policy and its binding. `version` is that of the mutating kind."""
    kind = "Mutating" if policy.mutating else "Validating"
    api_version = f"{_GROUP}/{version if policy.mutating else 'v1'}"
    meta = {"name": policy.name, "labels": dict(labels)}
    binding: dict[str, Any] = {"policyName": policy.name}
    if not policy.mutating:
        binding["validationActions"] = ["Warn" if policy.warn else "Deny"]
    if policy.parameters:
        binding["paramRef"] = {"selector": {}, "parameterNotFoundAction": "Allow"}
    return [
        {
            "apiVersion": api_version, "kind": f"{kind}AdmissionPolicy", "metadata": meta,
            "spec": _spec(policy),
        },
        {
            "apiVersion": api_version, "kind": f"{kind}AdmissionPolicyBinding",
            "metadata": {**meta, "labels": dict(labels)}, "spec": binding,
        },
    ]  # fmt: skip


def _spec(policy: Policy) -> dict[str, Any]:
    constraints: dict[str, Any] = {"resourceRules": [dict(r) for r in policy.resources]}
    if policy.tenants_only or policy.system_only:
        constraints["namespaceSelector"] = {
            "matchExpressions": [
                {
                    "key": "kubernetes.io/metadata.name",
                    "operator": "In" if policy.system_only else "NotIn",
                    "values": list(SYSTEM_NAMESPACES),
                }
            ]
        }  # fmt: skip
    failure = "Ignore" if policy.optional else "Fail"
    spec: dict[str, Any] = {"failurePolicy": failure, "matchConstraints": constraints}
    if policy.parameters:
        spec["paramKind"] = dict(zip(("apiVersion", "kind"), policy.parameters, strict=True))
    named = [
        ("matchConditions", policy.conditions), ("variables", policy.variables),
    ]  # fmt: skip
    for key, expressions in named:
        if expressions:
            spec[key] = [
                {"name": name, "expression": _one_line(text)} for name, text in expressions.items()
            ]
    if policy.mutating:
        spec["reinvocationPolicy"] = "IfNeeded"
        spec["mutations"] = [
            *(_mutation("ApplyConfiguration", text) for text in policy.mutations),
            *(_mutation("JSONPatch", text) for text in policy.patches),
        ]
    else:
        spec["validations"] = [rule.manifest() for rule in policy.rules]
    return spec


def _mutation(patch_type: str, expression: str) -> dict[str, Any]:
    part = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}[patch_type]
    return {"patchType": patch_type, part: {"expression": _one_line(expression)}}


def resources(
    group: str, version: str, plurals: Sequence[str], *operations: str
) -> dict[str, list[str]]:
    """A resource rule of a policy."""
    return {
        "apiGroups": [group], "apiVersions": [version],
        "operations": list(operations or ("CREATE", "UPDATE")), "resources": list(plurals),
    }  # fmt: skip


def priority_classes(labels: Mapping[str, str]) -> list[Object]:
    """The classes that Ray workloads may name."""
    return [
        {
            "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
            "metadata": {"name": name, "labels": dict(labels)}, "value": value,
            "description": "Order of gangs in the team's queue",
        }
        for name, value in PRIORITIES.items()
    ]  # fmt: skip


def text(value: str) -> str:
    """A CEL string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def texts(values: Sequence[str]) -> str:
    """A CEL list of strings."""
    return f"[{', '.join(text(v) for v in values)}]"


def quantity(found: str) -> str:
    """CEL: the amount that an optional holds, 0 when it holds none.

    In Ray's kinds `cpu: 1` is a number. Without `dyn` the checker takes what is found for a string, because
    the default is one, and the policy fails on every number.
    """
    return f"quantity(string({found}.orValue(dyn('0'))))"


def _one_line(expression: str) -> str:
    """What the API server keeps is compared with what we want; line breaks only help who reads."""
    return " ".join(expression.split())
