"""Extra values for the vcluster chart: which of them the open-source build cannot do.

The open build dies at start on some, and silently ignores others; both are refused here with the
way out. Some values are ours: other parts of a virtual cluster depend on them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

DIES = "the open-source vcluster does not start with it"
IGNORES = "the open-source vcluster ignores it"
OURS = "the platform sets it itself"

_RULES: tuple[tuple[str, str, str], ...] = (
    ("controlPlane.backingStore.etcd.embedded", DIES, "use backingStore.etcd.deploy"),
    ("controlPlane.backingStore.database.external", DIES, "use backingStore.etcd.deploy"),
    ("controlPlane.backingStore.database.embedded.dataSource", IGNORES, "leave it out"),
    ("controlPlane.coredns.embedded", DIES, "use coredns.deployment"),
    ("controlPlane.advanced.kubeVip", DIES, "use controlPlane.service"),
    ("controlPlane.standalone", DIES, "leave it out"),
    ("privateNodes", DIES, "use replicaSets in dedicated mode"),
    ("sync.toHost.namespaces", DIES, "every virtual cluster has one host namespace"),
    ("sync.toHost.pods.hybridScheduling", DIES, "use mode dedicated or shared"),
    ("networking.resolveDNS", IGNORES, "use networking.replicateServices"),
    ("sync.toHost.customResources", IGNORES, "make the objects inside the virtual cluster"),
    ("sync.fromHost.customResources", IGNORES, "make the objects inside the virtual cluster"),
    ("sync.toHost.resourceClaims", IGNORES, "use extended resources such as nvidia.com/gpu"),
    (
        "sync.toHost.resourceClaimTemplates",
        IGNORES,
        "use extended resources such as nvidia.com/gpu",
    ),
    ("sync.fromHost.deviceClasses", IGNORES, "use extended resources such as nvidia.com/gpu"),
    ("policies.centralAdmission", IGNORES, "use admission policies inside the virtual cluster"),
    ("sleepMode", IGNORES, "leave it out"),
    ("sleep", IGNORES, "leave it out"),
    ("snapshots", IGNORES, "leave it out"),
    ("deletion", IGNORES, "leave it out"),
    ("platform", IGNORES, "leave it out"),
    ("external.platform", IGNORES, "leave it out"),
    ("integrations.certManager", IGNORES, "install it inside the virtual cluster"),
    ("integrations.externalSecrets", IGNORES, "install it inside the virtual cluster"),
    ("integrations.istio", IGNORES, "install it inside the virtual cluster"),
    ("integrations.kubeVirt", IGNORES, "install it inside the virtual cluster"),
    ("controlPlane.distro.k8s.image", OURS, "choose a profile with that Kubernetes version"),
    ("controlPlane.distro.k8s.version", OURS, "choose a profile with that Kubernetes version"),
    ("controlPlane.distro.k8s.scheduler", OURS, "choose mode dedicated or shared"),
    ("controlPlane.advanced.virtualScheduler", OURS, "choose mode dedicated or shared"),
    ("controlPlane.statefulSet.image", OURS, "choose another profile"),
    ("sync.fromHost.nodes", OURS, "use replicaSets in dedicated mode"),
    ("exportKubeConfig", OURS, "use `atoll kubeconfig get`"),
    ("policies.resourceQuota", OURS, "use spec.quota"),
    ("policies.limitRange", OURS, "use spec.quota"),
    ("policies.networkPolicy", OURS, "leave it out"),
    ("experimental.syncSettings.setOwner", OURS, "leave it out"),
)


CLOSED = "it reaches beyond the virtual cluster, or nobody has looked at it yet"
OPEN = (
    "controlPlane.backingStore.etcd.deploy",
    "controlPlane.coredns.deployment",
    "controlPlane.serviceMonitor",
    "controlPlane.statefulSet.annotations",
    "controlPlane.statefulSet.highAvailability",
    "controlPlane.statefulSet.labels",
    "controlPlane.statefulSet.resources",
    "sync.toHost.configMaps",
    "sync.toHost.podDisruptionBudgets",
    "sync.toHost.secrets",
    "sync.toHost.serviceAccounts",
)
"""What a team may set. A list of what is allowed, not of what is forbidden: many values of the chart
(host manifests, extra rules, volumes of the control plane's pod) would hand over the host."""


@dataclass(frozen=True)
class ValueProblem:
    """One value that cannot be: its path in the chart's values, why, and what to do instead."""

    path: str
    reason: str
    instead: str

    @property
    def pointer(self) -> str:
        """As a JSON pointer below the values."""
        return "".join("/" + p.replace("~", "~0").replace("/", "~1") for p in self.path.split("."))


def find_value_problems(values: Mapping[str, Any]) -> list[ValueProblem]:
    """Every value that the open build dies on or ignores, or that is ours. Off-switches are fine."""
    found = [
        ValueProblem(path, reason, instead)
        for path, reason, instead in _RULES
        if _is_set(_at(values, path), off_is_fine=reason != OURS)
    ]
    sync = values.get("sync")
    if isinstance(sync, Mapping):
        found += [
            ValueProblem(path, DIES, "leave the patches out")
            for path in _patches(sync, "sync")
            if not any(path.startswith(f.path) for f in found)
        ]
    if replicas_problem := _replicas_without_etcd(values):
        found.append(replicas_problem)
    told = [f.path for f in found]
    found += [
        ValueProblem(path, CLOSED, f"set only {', '.join(OPEN)}")
        for path, value in _leaves(values, "")
        if _is_set(value, off_is_fine=True)
        and not any(_below(path, known) for known in (*OPEN, *told))
    ]
    return found


def _below(path: str, root: str) -> bool:
    return path == root or path.startswith(f"{root}.")


def _leaves(node: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        here = f"{path}.{key}" if path else str(key)
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, here)
        else:
            yield here, value


def _at(values: Mapping[str, Any], path: str) -> Any:
    here: Any = values
    for part in path.split("."):
        if not isinstance(here, Mapping) or part not in here:
            return None
        here = here[part]
    return here


def _is_set(value: Any, *, off_is_fine: bool) -> bool:
    if isinstance(value, Mapping) and off_is_fine and "enabled" in value:
        return bool(value["enabled"])
    if isinstance(value, Mapping) and off_is_fine:
        return any(_is_set(inner, off_is_fine=True) for inner in value.values())
    return bool(value) if off_is_fine else value is not None


def _patches(node: Mapping[str, Any], path: str) -> Iterator[str]:
    for key, value in node.items():
        if key == "patches" and value:
            yield f"{path}.{key}"
        elif isinstance(value, Mapping):
            yield from _patches(value, f"{path}.{key}")


def _replicas_without_etcd(values: Mapping[str, Any]) -> ValueProblem | None:
    path = "controlPlane.statefulSet.highAvailability.replicas"
    replicas = _at(values, path)
    etcd = ("controlPlane.backingStore.etcd.deploy", "controlPlane.backingStore.etcd.external")
    if not isinstance(replicas, int) or replicas <= 1:
        return None
    if any(_is_set(_at(values, p), off_is_fine=True) for p in etcd):
        return None
    return ValueProblem(
        path,
        "its SQLite store allows one replica",
        "set controlPlane.backingStore.etcd.deploy.enabled too",
    )
