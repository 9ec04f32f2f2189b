"""Admission inside: the head of every Ray workload keeps its state in Redis, as a user of its own."""

from typing import Any

from atoll.cluster.client import Object
from atoll.domain.gcs_store import OFF_LABEL, REDIS_ADDRESS

_API = "admissionregistration.k8s.io/v1"
_NAME = "atoll-gcs"

_CREDENTIALS = (
    "has(object.metadata.ownerReferences) && object.metadata.ownerReferences.exists(o, "
    "o.?controller.orValue(false) && o.kind in ['RayJob', 'RayService']) ? "
    "object.metadata.ownerReferences.filter(o, o.?controller.orValue(false))"
    ".map(o, o.kind.lowerAscii() + '-' + o.name + '-redis')[0] : "
    "object.kind.lowerAscii() + '-' + object.metadata.?name.orValue('') + '-redis'"
)
"""`atoll.domain.gcs_store.credentials_of` in CEL."""
_OFF = f"object.metadata.?labels[?'{OFF_LABEL}'].orValue('') == 'off'"
_SPECS = {
    "RayCluster": "spec",
    "RayJob": "spec.?rayClusterSpec",
    "RayService": "spec.?rayClusterConfig",
}


def gcs_policy_manifests(
    labels: dict[str, str], *, mutate: bool, address: str = REDIS_ADDRESS
) -> list[Object]:
    """The policies and their bindings.

    With `mutate` (Kubernetes serves MutatingAdmissionPolicy as v1) RayClusters get the lines, so RayJobs
    and RayServices need none of their own: KubeRay makes RayClusters for them. Without it all three
    must bring them, and are refused with the very lines. `address` is the Redis they must name.
    """
    made = [
        _object("ValidatingAdmissionPolicy", labels, _validating(mutate, address)),
        _object(
            "ValidatingAdmissionPolicyBinding",
            labels,
            {"policyName": _NAME, "validationActions": ["Deny"]},
        ),
    ]
    if mutate:
        made += [
            _object("MutatingAdmissionPolicy", labels, _mutating(address)),
            _object("MutatingAdmissionPolicyBinding", labels, {"policyName": _NAME}),
        ]
    return made


def _object(kind: str, labels: dict[str, str], spec: dict[str, Any]) -> Object:
    meta = {"name": _NAME, "labels": labels}
    return {"apiVersion": _API, "kind": kind, "metadata": meta, "spec": spec}


def _rules(*resources: str) -> dict[str, Any]:
    rule = {
        "apiGroups": ["ray.io"],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": list(resources),
    }
    return {"resourceRules": [rule]}


def _options(item: str) -> str:
    """The options of whichever kind `item` is, as an optional."""
    cases = {
        kind: f"{item}.?{path}.?gcsFaultToleranceOptions".replace(".?spec", ".spec", 1)
        for kind, path in _SPECS.items()
    }
    return (
        f"{item}.kind == 'RayCluster' ? {cases['RayCluster']} : "
        f"{item}.kind == 'RayJob' ? {cases['RayJob']} : {cases['RayService']}"
    )


def _validating(mutate: bool, address: str) -> dict[str, Any]:
    reference = "?valueFrom.?secretKeyRef"
    ours = (
        f"variables.given.?redisAddress.orValue('') == '{address}' && "
        f"variables.given.?redisUsername.{reference}.?name.orValue('') == variables.secret && "
        f"variables.given.?redisUsername.{reference}.?key.orValue('') == 'username' && "
        f"variables.given.?redisPassword.{reference}.?name.orValue('') == variables.secret && "
        f"variables.given.?redisPassword.{reference}.?key.orValue('') == 'password' && "
        "!variables.given.?externalStorageNamespace.hasValue()"
    )
    missing = "object.kind != 'RayCluster'" if mutate else "variables.borrowed"
    return {
        "failurePolicy": "Fail",
        "matchConstraints": _rules("rayclusters", "rayjobs", "rayservices"),
        "variables": [
            {"name": "present", "expression": f"({_options('object')}).hasValue()"},
            {"name": "given", "expression": f"({_options('object')}).orValue({{}})"},
            {
                "name": "unchanged",
                "expression": f"oldObject != null && ({_options('object')}) == ({_options('oldObject')})",
            },
            {"name": "secret", "expression": _CREDENTIALS},
            # A RayJob that runs on a cluster that is there already has no cluster of its own.
            {
                "name": "borrowed",
                "expression": "object.kind == 'RayJob' && !has(object.spec.rayClusterSpec)",
            },
            {"name": "off", "expression": _OFF},
            {
                "name": "own",
                "expression": "variables.given.?backend.orValue('redis') == 'rocksdb'",
            },
            {"name": "ours", "expression": ours},
        ],
        "validations": [
            {
                # What was there before these rules stays as it is until somebody changes it.
                "expression": "variables.unchanged || "
                f"(!variables.present ? (variables.off || {missing}) : "
                "(variables.own || variables.ours))",
                "messageExpression": _message(address),
                "reason": "Forbidden",
            }
        ],
    }  # fmt: skip


def _message(address: str) -> str:
    """The lines to add, in one line as YAML has them; where they go depends on the kind."""
    where = (
        "object.kind == 'RayCluster' ? 'spec' : "
        "object.kind == 'RayJob' ? 'spec.rayClusterSpec' : 'spec.rayClusterConfig'"
    )
    reference = "{valueFrom: {secretKeyRef: {name: ' + variables.secret + ', key: "
    return (
        f"'Set ' + ({where}) + '.gcsFaultToleranceOptions to "
        f'{{redisAddress: "{address}", redisUsername: {reference}username}}}}}}, '
        f"redisPassword: {reference}password}}}}}}}}: the head keeps its state in Redis. "
        f"To do without, leave the options out and set the label {OFF_LABEL} to off.'"
    )


def _mutating(address: str) -> dict[str, Any]:
    def part(field: str) -> str:
        return f'dyn({{"valueFrom": {{"secretKeyRef": {{"name": variables.secret, "key": "{field}"}}}}}})'

    value = (
        f'{{"redisAddress": dyn("{address}"), "redisUsername": {part("username")}, '
        f'"redisPassword": {part("password")}}}'
    )
    patch = f'[JSONPatch{{op: "add", path: "/spec/gcsFaultToleranceOptions", value: {value}}}]'
    return {
        "failurePolicy": "Fail",
        "reinvocationPolicy": "IfNeeded",
        "matchConstraints": _rules("rayclusters"),
        "matchConditions": [
            {"name": "none-given", "expression": "!has(object.spec.gcsFaultToleranceOptions)"},
            {"name": "wanted", "expression": f"!({_OFF})"},
            # A name that the API server makes up is not known yet; validation then tells what to do.
            {"name": "named", "expression": "object.metadata.?name.orValue('') != ''"},
        ],
        "variables": [{"name": "secret", "expression": _CREDENTIALS}],
        "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": patch}}],
    }
