"""Forms: what a person typed, as a body for the use cases, and their errors back to the fields."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from atoll.contract.quotas import QuotaRead, QuotaUse
from atoll.contract.virtual_clusters import VirtualClusterRead
from atoll.domain.quantities import parse_quantity
from atoll.domain.quotas import COUNTED
from atoll.errors import FieldProblem
from atoll.portal.bars import LABELS, amount, label_of
from atoll.portal.problems import Place

_EXAMPLES = {"cpu": "4", "memory": "8Gi", "storage": "20Gi", "pods": "50"}
_RAY_FIELDS = {
    "name": "Name of the Ray cluster",
    "workers": "Workers",
    "workerCpu": "CPU of each worker",
    "workerMemory": "Memory of each worker",
}
_RAY_INPUTS = {"workerCpu": "worker_cpu", "workerMemory": "worker_memory"}


@dataclass
class Form:
    """What stands in the inputs, and what is wrong with it."""

    values: Mapping[str, str]
    wrong: Mapping[str, list[str]] = field(default_factory=dict)
    open: bool = False

    def get(self, name: str) -> str:
        """The text in an input."""
        return self.values.get(name, "")


@dataclass(frozen=True)
class QuotaField:
    """An input for one resource of a quota."""

    name: str
    label: str
    hint: str
    example: str


def new_form(profiles: list[str], *, open: bool = False) -> Form:  # noqa: A002 - HTML's word
    """A create form with the usual values."""
    profile = "default" if "default" in profiles or not profiles else profiles[0]
    values = {
        "mode": "dedicated",
        "profile": profile,
        "ray": "yes",
        "ray.name": "main",
        "ray.workers": "1",
        "ray.worker_cpu": "1",
        "ray.worker_memory": "2Gi",
    }
    return Form(values, open=open)


def quota_fields(quota: QuotaRead, mine: Mapping[str, str] | None = None) -> list[QuotaField]:
    """One input for each resource that the team or one above it limits, and the common ones, saying what
    is free.

    `mine` is what the virtual cluster holds already: it counts as free for itself.
    """
    use = {u.resource: u for u in quota.use}
    names = [n for n in {**_EXAMPLES, **use, **(mine or {})} if n != COUNTED]
    names.sort(key=lambda n: (list(LABELS).index(n) if n in LABELS else len(LABELS), n))
    return [
        QuotaField(
            n, label_of(n), _hint(quota.team, n, use.get(n), mine or {}), _EXAMPLES.get(n, "1")
        )
        for n in names
    ]


def _hint(team: str, name: str, use: QuotaUse | None, mine: Mapping[str, str]) -> str:
    if use is None:
        return "The team has no limit on it."
    free = amount(name, parse_quantity(use.free) + parse_quantity(mine.get(name, "0")))
    if use.bound_by != team:
        return f"Needed. {free} can be had; team {use.bound_by} above has the limit."
    limit = f"the team's {amount(name, parse_quantity(use.limit))}" if use.limit else "it"
    return f"Needed. {free} of {limit} can be had."


def _under(values: Mapping[str, str], prefix: str) -> dict[str, str]:
    cut = len(prefix) + 1
    return {k[cut:]: v.strip() for k, v in values.items() if k.startswith(f"{prefix}.")}


def _number(text: str) -> int | str:
    """A whole number, or the text as it is so that validation names what is wrong with it."""
    return int(text) if text.lstrip("-").isdigit() else text


def create_body(team: str, values: Mapping[str, str]) -> dict[str, Any]:
    """The body of a create from the form's inputs."""
    mode = values.get("mode", "dedicated")
    spec: dict[str, Any] = {
        "team": team,
        "profile": values.get("profile", "default"),
        "mode": mode,
        "quota": {k: v for k, v in _under(values, "quota").items() if v},
    }
    nodes = {k: _number(v) for k, v in _under(values, "nodes").items() if v not in ("", "0")}
    if nodes:
        spec["replicaSets"] = nodes
    if values.get("ray") == "yes":
        ray = _under(values, "ray")
        spec["rayClusters"] = [
            {
                "name": ray.get("name", ""),
                "workers": _number(ray.get("workers", "") or "0"),
                "workerCpu": ray.get("worker_cpu") or "1",
                "workerMemory": ray.get("worker_memory") or "2Gi",
            }
        ]
    return {"name": values.get("name", "").strip(), "spec": spec}


def edit_values(vc: VirtualClusterRead) -> dict[str, str]:
    """The inputs of the change form as the virtual cluster has them."""
    values = {f"quota.{k}": v for k, v in vc.spec.quota.items()}
    values |= {f"nodes.{k}": str(v) for k, v in vc.spec.replica_sets.items()}
    return values | {f"workers.{r.name}": str(r.workers) for r in vc.spec.ray_clusters}


def edit_patch(vc: VirtualClusterRead, values: Mapping[str, str]) -> dict[str, Any]:
    """The merge patch for what differs from `vc`; an emptied input removes its line."""
    spec: dict[str, Any] = {}
    quota = _changed(_under(values, "quota"), vc.spec.quota)
    if quota:
        spec["quota"] = quota
    asked = {k: "" if v == "0" else v for k, v in _under(values, "nodes").items()}
    nodes = _changed(asked, {k: str(v) for k, v in vc.spec.replica_sets.items()})
    if nodes:
        spec["replicaSets"] = {k: None if v is None else _number(v) for k, v in nodes.items()}
    workers = _under(values, "workers")
    if any(workers.get(r.name, str(r.workers)) != str(r.workers) for r in vc.spec.ray_clusters):
        spec["rayClusters"] = [
            r.dump() | {"workers": _number(workers.get(r.name) or "0")}
            for r in vc.spec.ray_clusters
        ]
    return {"spec": spec}


def _changed(asked: Mapping[str, str], present: Mapping[str, str]) -> dict[str, str | None]:
    return {k: v or None for k, v in asked.items() if v != present.get(k, "")}


def differences(vc: VirtualClusterRead, values: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """(label, what it is now, what was typed) of the inputs that differ."""
    now = edit_values(vc)
    names = [n for n in values if n.partition(".")[0] in ("quota", "nodes", "workers")]
    return [
        (_label(n), now.get(n, ""), values[n].strip())
        for n in names
        if values[n].strip() != now.get(n, "")
    ]


def _label(name: str) -> str:
    group, _, rest = name.partition(".")
    return {"quota": label_of(rest), "nodes": f"Nodes {rest}", "workers": f"Workers of {rest}"}[
        group
    ]


def place_in_form(vc: VirtualClusterRead | None, problem: FieldProblem) -> Place:
    """The input and label for a JSON pointer; `vc` is given in the change form."""
    parts = problem.parts
    parts = parts[1:] if parts[0] == "spec" else parts
    match parts:
        case ["name" | "profile" | "mode" as name]:
            return name, name.capitalize()
        case ["quota" | "replicaSets" | "replica_sets" as group, *rest]:
            kind = "quota" if group == "quota" else "nodes"
            whole = (kind, kind.capitalize())
            return (f"{kind}.{rest[0]}", _label(f"{kind}.{rest[0]}")) if rest else whole
        case ["rayClusters" | "ray_clusters", index, *rest]:
            return _ray_place(vc, index, rest)
        case ["rayClusters" | "ray_clusters"]:
            return "ray", "Ray clusters"
    return "", ", ".join(parts) or "Request"


def _ray_place(vc: VirtualClusterRead | None, index: str, rest: list[str]) -> Place:
    if vc and index.isdigit() and int(index) < len(vc.spec.ray_clusters):
        name = vc.spec.ray_clusters[int(index)].name
        return f"workers.{name}", f"Workers of {name}"
    part = rest[0] if rest else ""
    if part in _RAY_FIELDS:
        return f"ray.{_RAY_INPUTS.get(part, part)}", _RAY_FIELDS[part]
    return "ray", "Ray cluster"
