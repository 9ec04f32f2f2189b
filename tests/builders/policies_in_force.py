"""Waiting until the API server goes by the admission policies that were written."""

from collections.abc import Iterator
from uuid import uuid4

from e2e.kube import Kube, Object
from waiting import until

_ADMISSION = "/apis/admissionregistration.k8s.io/v1"
_TRIED = "/api/v1/namespaces/default/configmaps?dryRun=All"
_DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_NOT_YET = (404, 429, 503)
_KINDS = ("mutatingadmissionpolicies", "mutatingadmissionpolicybindings",
          "validatingadmissionpolicies", "validatingadmissionpolicybindings")  # fmt: skip
_in_force: dict[str, frozenset[str]] = {}
"""Address of an API server -> the policies that were in force at the last wait, by uid and version."""


def await_policies(kube: Kube) -> None:
    """Return when every policy written, changed or deleted before is in force, or gone.

    An API server reads policies anew about once a second, all of a kind at a time and the mutating
    ones apart from the validating. So the last ones made are in force only when those before are.
    And a kind that was made a moment ago is refused for a while, since what mutates it has no schema.
    """
    written = _written(kube)
    if _in_force.get(kube.address) == written:
        return
    name = f"last-{uuid4().hex[:8]}"
    made = list(_marks(name))
    for path, body in made:
        kube.create(path, {"metadata": {"name": name}, **body}).raise_for_status()
    try:
        until(lambda: _refused(kube, name), "the admission policies are in force", 60)
    finally:
        for path, _ in reversed(made):
            kube.delete(f"{path}/{name}")
    until(lambda: all(_known(kube, d["spec"], name) for d in kube.items(_DEFINITIONS)),
          "custom resources are taken", 60)  # fmt: skip
    _in_force[kube.address] = written


def _written(kube: Kube) -> frozenset[str]:
    found = [m["metadata"] for kind in _KINDS for m in kube.items(f"{_ADMISSION}/{kind}")]
    return frozenset(f"{m['uid']} {m['resourceVersion']}" for m in found)


def _known(kube: Kube, definition: Object, name: str) -> bool:
    """Whether an object of the kind is judged, be it refused, rather than put off."""
    group, version = definition["group"], definition["versions"][0]["name"]
    names, inside = definition["names"], definition["scope"] == "Namespaced"
    body = {
        "apiVersion": f"{group}/{version}", "kind": names["kind"], "metadata": {"name": name},
    }  # fmt: skip
    place = f"{'namespaces/default/' if inside else ''}{names['plural']}?dryRun=All"
    return kube.create(f"/apis/{group}/{version}/{place}", body).status_code not in _NOT_YET


def _refused(kube: Kube, name: str) -> bool:
    return kube.create(_TRIED, {"metadata": {"name": name}}).status_code == 403


def _marks(name: str) -> Iterator[tuple[str, Object]]:
    """One that puts a note on a config map of this name, and one that refuses what has the note."""
    about = {
        "matchConstraints": {
            "resourceRules": [
                {
                    "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"],
                    "resources": ["configmaps"],
                }
            ]
        },
        "matchConditions": [{"name": "mark", "expression": f"object.metadata.name == '{name}'"}],
    }  # fmt: skip
    note = "Object{metadata: Object.metadata{annotations: {'noted': 'yes'}}}"
    mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": note}}
    mutating = {**about, "reinvocationPolicy": "Never", "mutations": [mutation]}
    yield f"{_ADMISSION}/mutatingadmissionpolicies", {"spec": mutating}
    binding = {"policyName": name}
    yield f"{_ADMISSION}/mutatingadmissionpolicybindings", {"spec": binding}
    free = "!('noted' in object.metadata.?annotations.orValue({}))"
    yield (
        f"{_ADMISSION}/validatingadmissionpolicies",
        {"spec": {**about, "validations": [{"expression": free, "reason": "Forbidden"}]}},
    )
    denying = {**binding, "validationActions": ["Deny"]}
    yield f"{_ADMISSION}/validatingadmissionpolicybindings", {"spec": denying}
