"""Admission inside for what a scheduler needs beside labels: how the gang is made is not the tenant's."""

from collections.abc import Mapping
from typing import Any

from atoll.cluster.client import Object
from atoll.domain.schedulers import Scheduler

_API = "admissionregistration.k8s.io/v1"
_NAME = "atoll-gang"
_HEAD = "spec.headGroupSpec.template.metadata"


def gang_policies(facts: Scheduler, labels: dict[str, str], *, mutate: bool) -> list[Object]:
    """Policies for `facts.head_annotations` and `facts.gang_annotation`; none where both are empty.

    They are about RayClusters, which KubeRay makes of RayJobs and RayServices too. `mutate`: whether
    the Kubernetes version serves MutatingAdmissionPolicy as v1.
    """
    if not facts.head_annotations and not facts.gang_annotation:
        return []
    made = [
        _policy("Validating", ("rayclusters",), labels, {"validations": _validations(facts)}),
        _binding("Validating", labels),
    ]
    if mutate and facts.head_annotations:
        change = {"expression": _change(facts.head_annotations)}
        spec = {
            "reinvocationPolicy": "IfNeeded",
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": change}],
        }
        made += [
            _policy("Mutating", ("rayclusters",), labels, spec),
            _binding("Mutating", labels),
        ]
    return made


def _validations(facts: Scheduler) -> list[dict[str, str]]:
    made = [_head_carries(key, value) for key, value in facts.head_annotations.items()]
    if facts.gang_annotation:
        owned = "has(object.metadata.ownerReferences) && "
        owned += "object.metadata.ownerReferences.exists(o, o.kind == 'RayJob')"
        notes = "object.metadata.annotations"
        made.append({
            "expression": f"({owned}) || !has({notes}) || !('{facts.gang_annotation}' in {notes})",
            "message": f"Remove the annotation {facts.gang_annotation}: who is in the gang follows "
            "from head and workers.",
            "reason": "Forbidden",
        })  # fmt: skip
    return made


def _head_carries(key: str, value: str) -> dict[str, str]:
    notes = f"object.{_HEAD}.annotations"
    return {
        "expression": f"has(object.{_HEAD}) && has({notes}) && '{key}' in {notes} && "
        f"{notes}['{key}'] == '{value}'",
        "message": f"Set the annotation {key} of spec.headGroupSpec.template to {value!r}: no part "
        "of a gang runs without the rest.",
        "reason": "Forbidden",
    }


def _change(annotations: Mapping[str, str]) -> str:
    pairs = ", ".join(f"'{key}': '{value}'" for key, value in annotations.items())
    path, made = _HEAD.split("."), "annotations: {" + pairs + "}"
    for depth in range(len(path), 0, -1):
        made = f"{path[depth - 1]}: Object.{'.'.join(path[:depth])}{{{made}}}"
    return f"Object{{{made}}}"


def _policy(
    kind: str, resources: tuple[str, ...], labels: dict[str, str], spec: dict[str, Any]
) -> Object:
    rule = {
        "apiGroups": ["ray.io"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
        "resources": list(resources),
    }  # fmt: skip
    return {
        "apiVersion": _API,
        "kind": f"{kind}AdmissionPolicy",
        "metadata": {"name": _NAME, "labels": labels},
        "spec": {"failurePolicy": "Fail", "matchConstraints": {"resourceRules": [rule]}, **spec},
    }


def _binding(kind: str, labels: dict[str, str]) -> Object:
    spec: dict[str, Any] = {"policyName": _NAME}
    if kind == "Validating":
        spec["validationActions"] = ["Deny"]
    return {
        "apiVersion": _API,
        "kind": f"{kind}AdmissionPolicyBinding",
        "metadata": {"name": _NAME, "labels": labels},
        "spec": spec,
    }
