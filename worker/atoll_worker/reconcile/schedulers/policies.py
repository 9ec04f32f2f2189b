"""Admission inside: in which queue a Ray workload is, and what its gang is, is not the tenant's."""

from collections.abc import Mapping
from typing import Any

from atoll.cluster.client import Object
from atoll.domain.schedulers import Scheduler

_API = "admissionregistration.k8s.io/v1"
_OWNER = "object.metadata.ownerReferences.filter(o, o.kind == 'RayCluster')"
_RAY_POD = {
    "name": "of-a-ray-cluster",
    "expression": "has(object.metadata.labels) && 'ray.io/cluster' in object.metadata.labels && "
    f"has(object.metadata.ownerReferences) && {_OWNER}.size() == 1",
}


def queue_rule(facts: Scheduler, queue: str) -> dict[str, str]:
    """The label that every Ray workload must carry, with its value as a CEL expression.

    A constant: an expression over what the tenant wrote would let the tenant choose.
    """
    return {facts.queue_label: f"'{facts.queue_value(queue)}'"}


def gang_policies(
    facts: Scheduler, queue: str, labels: dict[str, str], *, mutate: bool
) -> list[Object]:
    """What makes one gang of a RayCluster, where scheduler and KubeRay need to be told; else nothing.

    `mutate`: whether the Kubernetes version serves MutatingAdmissionPolicy as v1.
    """
    if not facts.gang_labels:
        return []
    gang = {label: f"'{value}'" for label, value in facts.gang_labels.items()}
    cluster = _Rules("atoll-gang", ("ray.io", "rayclusters"), gang, {})
    pods = _Rules("atoll-gang-pods", ("", "pods"), _pod_labels(facts, queue), facts.pod_annotations)
    made = []
    for rules in (cluster, pods):
        more = _without_annotation(facts) if rules is cluster else []
        made += rules.validating(labels, more)
        if mutate:
            made += rules.mutating(labels)
    # KubeRay would give the gang of a job to its submitter and to every RayCluster it makes for it.
    refused = [_without("label", label) for label in facts.gang_labels]
    jobs = _Rules("atoll-gang-jobs", ("ray.io", "rayjobs", "rayservices"), {}, {})
    return [*made, *jobs.validating(labels, refused)]


def _pod_labels(facts: Scheduler, queue: str) -> dict[str, str]:
    """A gang is one life of one RayCluster: a name comes again, a UID does not."""
    made = {facts.queue_label: f"'{facts.queue_value(queue)}'"}
    if facts.identity_label:
        made[facts.identity_label] = f"'ray-' + string({_OWNER}[0].uid)"
    return made


def _without_annotation(facts: Scheduler) -> list[dict[str, str]]:
    return [_without("annotation", facts.gang_annotation)] if facts.gang_annotation else []


def _without(what: str, key: str) -> dict[str, str]:
    held = f"object.metadata.{what}s"
    return {
        "expression": f"!has({held}) || !('{key}' in {held})",
        "message": f"Remove the {what} {key}: the gang is head and workers of one RayCluster, and "
        "is set there.",
        "reason": "Forbidden",
    }


class _Rules:
    """What objects of some kinds carry: labels (values in CEL) and annotations (plain values)."""

    def __init__(
        self, name: str, kinds: tuple[str, ...], labels: Mapping[str, str],
        annotations: Mapping[str, str],
    ) -> None:  # fmt: skip
        self._name, (self._group, *self._resources) = name, kinds
        notes = {key: f"'{value}'" for key, value in annotations.items()}
        self._wanted = {"label": labels, "annotation": notes}

    def validating(self, labels: dict[str, str], more: list[dict[str, str]]) -> list[Object]:
        """The policy that refuses what does not carry it, and its binding."""
        carried = [
            _carries(what, key, value)
            for what, values in self._wanted.items()
            for key, value in values.items()
        ]
        return self._pair("Validating", labels, {"validations": [*carried, *more]})

    def mutating(self, labels: dict[str, str]) -> list[Object]:
        """The policy that puts it there, and its binding."""
        parts = [f"{what}s: {_map(values)}" for what, values in self._wanted.items() if values]
        change = "Object{metadata: Object.metadata{" + ", ".join(parts) + "}}"
        mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": change}}
        spec = {"reinvocationPolicy": "IfNeeded", "mutations": [mutation]}
        return self._pair("Mutating", labels, spec)

    def _pair(self, kind: str, labels: dict[str, str], spec: dict[str, Any]) -> list[Object]:
        pods = self._resources == ["pods"]
        rule = {
            "apiGroups": [self._group], "apiVersions": ["v1"], "resources": self._resources,
            # Labels of pods change only by hand, and the scheduler has read them by then.
            "operations": ["CREATE"] if pods else ["CREATE", "UPDATE"],
        }  # fmt: skip
        matched: dict[str, Any] = {"failurePolicy": "Fail"}
        matched["matchConstraints"] = {"resourceRules": [rule]}
        if pods:
            matched["matchConditions"] = [_RAY_POD]
        bound: dict[str, Any] = {"policyName": self._name}
        if kind == "Validating":
            bound["validationActions"] = ["Deny"]
        common = {"apiVersion": _API, "metadata": {"name": self._name, "labels": labels}}
        return [
            {**common, "kind": f"{kind}AdmissionPolicy", "spec": {**matched, **spec}},
            {**common, "kind": f"{kind}AdmissionPolicyBinding", "spec": bound},
        ]


def _carries(what: str, key: str, value: str) -> dict[str, str]:
    held = f"object.metadata.{what}s"
    return {
        "expression": f"has({held}) && '{key}' in {held} && {held}['{key}'] == {value}",
        "messageExpression": f"'Set the {what} {key} to ' + {value} + ': head and workers are one "
        "gang.'",
        "reason": "Forbidden",
    }


def _map(values: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"'{key}': {value}" for key, value in values.items()) + "}"
