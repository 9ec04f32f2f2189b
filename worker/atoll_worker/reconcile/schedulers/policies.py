"""Admission inside: in which queue a Ray workload is, and what its gang is, is not the tenant's."""

from collections.abc import Mapping
from typing import Any

from atoll.cluster.client import Object
from atoll.domain.schedulers import Scheduler

_API = "admissionregistration.k8s.io/v1"
_HEAD = "spec.headGroupSpec.template.metadata"


def queue_rule(facts: Scheduler, queue: str) -> dict[str, str]:
    """The label that every Ray workload must carry, with its value as a CEL expression.

    A constant: an expression over what the tenant wrote would let the tenant choose.
    """
    return {facts.queue_label: f"'{facts.queue_value(queue)}'"}


def gang_policies(facts: Scheduler, labels: dict[str, str], *, mutate: bool) -> list[Object]:
    """What makes one gang of a RayCluster, where KubeRay needs to be told; else nothing.

    A RayJob or RayService must not say it: KubeRay would copy it to every RayCluster it makes, and a
    second try would be taken for a part of the first. `mutate`: whether the Kubernetes version serves
    MutatingAdmissionPolicy as v1.
    """
    if not facts.gang_labels and not facts.identity_label:
        return []
    gang, jobs = ("rayclusters",), ("rayjobs", "rayservices")
    made = [
        *_pair("Validating", "atoll-gang", gang, labels, {"validations": _cluster_rules(facts)}),
        *_pair("Validating", "atoll-gang-jobs", jobs, labels, {"validations": _job_rules(facts)}),
    ]
    if mutate:
        change = {"expression": _change(facts)}
        spec = {
            "reinvocationPolicy": "IfNeeded",
            "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": change}],
        }
        made += _pair("Mutating", "atoll-gang", gang, labels, spec)
    return made


def _gang_labels(facts: Scheduler) -> dict[str, str]:
    """Label -> value in CEL. A RayCluster without a name yet (generateName) gets a value that is not
    its own and is refused.
    """
    made = {label: f"'{value}'" for label, value in facts.gang_labels.items()}
    if facts.identity_label:
        name = "(has(object.metadata.name) ? object.metadata.name : '')"
        made[facts.identity_label] = f"(object.metadata.namespace + '.' + {name})"
    return made


def _cluster_rules(facts: Scheduler) -> list[dict[str, str]]:
    held = "has(object.metadata.labels)"
    rules = [
        {
            "expression": f"{held} && '{label}' in object.metadata.labels && "
            f"object.metadata.labels['{label}'] == {value}",
            "messageExpression": f"'Set the label {label} to ' + {value} + ': head and workers are "
            "one gang.'",
            "reason": "Forbidden",
        }
        for label, value in _gang_labels(facts).items()
    ]
    for key, value in facts.head_annotations.items():
        rules += [_head_carries(key, value), _workers_agree(key, value)]
    if facts.gang_annotation:
        rules.append(_without("annotation", facts.gang_annotation))
    return rules


def _job_rules(facts: Scheduler) -> list[dict[str, str]]:
    return [_without("label", label) for label in _gang_labels(facts)]


def _without(what: str, key: str) -> dict[str, str]:
    held = f"object.metadata.{what}s"
    return {
        "expression": f"!has({held}) || !('{key}' in {held})",
        "message": f"Remove the {what} {key}: the gang is head and workers of one RayCluster, and "
        "is set there.",
        "reason": "Forbidden",
    }


def _head_carries(key: str, value: str) -> dict[str, str]:
    notes = f"object.{_HEAD}.annotations"
    return {
        "expression": f"has(object.{_HEAD}) && has({notes}) && '{key}' in {notes} && "
        f"{notes}['{key}'] == '{value}'",
        "message": f"Set the annotation {key} of spec.headGroupSpec.template to {value!r}: no part "
        "of a gang runs without the rest.",
        "reason": "Forbidden",
    }


def _workers_agree(key: str, value: str) -> dict[str, str]:
    """The scheduler reads the pod it sees first, which after a restart of its may be a worker."""
    notes = "g.template.metadata.annotations"
    other = (
        f"has(g.template.metadata) && has({notes}) && '{key}' in {notes} && {notes}['{key}'] != "
    )
    groups = "object.spec.workerGroupSpecs"
    return {
        "expression": f"!has({groups}) || !{groups}.exists(g, {other}'{value}')",
        "message": f"Remove the annotation {key} of the worker groups' templates: what is set at the "
        "head holds for the gang.",
        "reason": "Forbidden",
    }


def _change(facts: Scheduler) -> str:
    """The CEL of an object that has labels and head annotations and nothing else."""
    fields = ["metadata: Object.metadata{labels: " + _map(_gang_labels(facts)) + "}"]
    if facts.head_annotations:
        notes = {key: f"'{value}'" for key, value in facts.head_annotations.items()}
        path, made = _HEAD.split("."), f"annotations: {_map(notes)}"
        for depth in range(len(path), 0, -1):
            made = f"{path[depth - 1]}: Object.{'.'.join(path[:depth])}{{{made}}}"
        fields.append(made)
    return "Object{" + ", ".join(fields) + "}"


def _map(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"'{key}': {value}" for key, value in values.items()) + "}"


def _pair(
    kind: str, name: str, resources: tuple[str, ...], labels: dict[str, str], spec: dict[str, Any]
) -> list[Object]:
    """A policy and the binding that puts it to work."""
    rule = {
        "apiGroups": ["ray.io"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"],
        "resources": list(resources),
    }  # fmt: skip
    bound: dict[str, Any] = {"policyName": name}
    if kind == "Validating":
        bound["validationActions"] = ["Deny"]
    common = {"apiVersion": _API, "metadata": {"name": name, "labels": labels}}
    matched = {"failurePolicy": "Fail", "matchConstraints": {"resourceRules": [rule]}, **spec}
    return [
        {**common, "kind": f"{kind}AdmissionPolicy", "spec": matched},
        {**common, "kind": f"{kind}AdmissionPolicyBinding", "spec": bound},
    ]
