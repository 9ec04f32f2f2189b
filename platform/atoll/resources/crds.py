"""CustomResourceDefinitions, generated from the models.

`python -m atoll.resources.crds FOLDER` writes them.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from atoll.resources.meta import GROUP, VERSION, Resource
from atoll.resources.profiles import Profile
from atoll.resources.quota_requests import QuotaRequest
from atoll.resources.quota_revisions import QuotaRevision
from atoll.resources.teams import Team
from atoll.resources.virtual_clusters import VirtualCluster

RESOURCES: tuple[type[Resource], ...] = (
    Team, Profile, VirtualCluster, QuotaRequest, QuotaRevision,
)  # fmt: skip
_KEPT = (
    "type", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "required",
    "default", "description", "x-kubernetes-preserve-unknown-fields",
)  # fmt: skip


def _structural(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """One node of pydantic's JSON schema as Kubernetes' structural schema allows it."""
    if "$ref" in node:
        resolved = definitions[node["$ref"].rsplit("/", 1)[-1]]
        node = {**resolved, **{k: v for k, v in node.items() if k != "$ref"}}
    if "anyOf" in node:  # `X | None`: absent in Kubernetes, so only X is left
        (inner,) = [option for option in node["anyOf"] if option.get("type") != "null"]
        rest = {k: v for k, v in node.items() if k not in ("anyOf", "default")}
        return _structural({**inner, **rest}, definitions)
    out = {key: node[key] for key in _KEPT if node.get(key) is not None}
    if "const" in node:
        out["enum"] = [node["const"]]
    if "enum" in out and "type" not in out:
        out["type"] = "integer" if isinstance(out["enum"][0], int) else "string"
    if "properties" in node:
        out["properties"] = {k: _structural(v, definitions) for k, v in node["properties"].items()}
    if isinstance(node.get("additionalProperties"), dict):
        out["additionalProperties"] = _structural(node["additionalProperties"], definitions)
    if "items" in node:
        out["items"] = _structural(node["items"], definitions)
    return out


def _validations(rules: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [{"rule": rule, "message": message} for rule, message in rules]


def crd(resource: type[Resource]) -> dict[str, Any]:
    """The CustomResourceDefinition of one of our resources."""
    schema = resource.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})
    properties = {
        part: _structural(schema["properties"][part], definitions)
        for part in ("spec", "status")
        if part in schema["properties"]
    }
    for part in properties.values():
        part.pop("default", None)
    if resource.RULES:
        properties["spec"]["x-kubernetes-validations"] = _validations(resource.RULES)
    whole: dict[str, Any] = {"type": "object", "required": ["spec"], "properties": properties}
    if resource.OBJECT_RULES:
        whole["x-kubernetes-validations"] = _validations(resource.OBJECT_RULES)
    columns = [{"name": n, "type": t, "jsonPath": p} for n, t, p in resource.COLUMNS]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Cluster",
            "names": {
                "kind": resource.KIND,
                "listKind": f"{resource.KIND}List",
                "plural": resource.PLURAL,
                "singular": resource.KIND.lower(),
                "categories": ["atoll"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}} if "status" in properties else {},
                    "additionalPrinterColumns": columns,
                    "schema": {"openAPIV3Schema": whole},
                }
            ],
        },
    }


def write(folder: Path) -> list[Path]:
    """Write one file per definition; the golden test compares them with the models."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for resource in RESOURCES:
        path = folder / f"{resource.PLURAL}.yaml"
        path.write_text(yaml.safe_dump(crd(resource), sort_keys=False))
        written.append(path)
    return written


if __name__ == "__main__":
    write(Path(sys.argv[1]))
