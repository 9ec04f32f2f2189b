"""How many Ray clusters a virtual cluster may hold, over all its namespaces (decision 0033).

Admission cannot count objects, and a ResourceQuota counts those of one namespace. So the worker counts:
when all are taken a policy refuses the next, with their names; what slipped through before the policy
stood, and does not run yet, is suspended until there is room.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from atoll.cluster.client import Object
from atoll.cluster.kinds import RAY_CLUSTER
from atoll.domain.names import ANNOTATION_OVER_QUOTA, LABEL_FROM_SPEC, RAY_NAMESPACE
from atoll.domain.plurals import count
from atoll.domain.quantities import parse_quantity
from atoll_worker.reconcile.outcome import Change, Patch
from atoll_worker.reconcile.policies.manifests import PLATFORM, Policy, Rule, resources, text

RESOURCE = "rayclusters"
_MADE = [resources("ray.io", "v1", ["rayclusters", "rayjobs", "rayservices"], "CREATE")]
_NAMED = 5
"""Most Ray clusters that a refusal names."""


@dataclass(frozen=True)
class RayCount:
    """The Ray clusters there are, in the order in which they have a claim to the quota."""

    limit: int
    ranked: tuple[Object, ...]

    @property
    def full(self) -> bool:
        """Whether not one more may be made."""
        return len(self.ranked) >= self.limit

    @property
    def names(self) -> list[str]:
        """Those that hold the quota, as namespace/name."""
        return [_title(item) for item in self.ranked[: self.limit]]


def ray_count(
    quota: Mapping[str, str], found: Iterable[Object], of_spec: Collection[str]
) -> RayCount | None:
    """What counts of the Ray clusters found; None when the quota does not limit them.

    Those of the virtual cluster's own spec come first, then the oldest. One on its way out counts no more.
    """
    if RESOURCE not in quota:
        return None
    there = [item for item in found if not item["metadata"].get("deletionTimestamp")]
    ranked = sorted(there, key=lambda item: _rank(item, of_spec))
    return RayCount(int(parse_quantity(quota[RESOURCE])), tuple(ranked))


def _rank(item: Object, of_spec: Collection[str]) -> tuple[bool, str, str]:
    meta = item["metadata"]
    ours = meta["namespace"] == RAY_NAMESPACE and meta["name"] in of_spec
    return not ours, meta.get("creationTimestamp") or "", _title(item)


def _title(item: Object) -> str:
    return f"{item['metadata']['namespace']}/{item['metadata']['name']}"


def limit_ray_clusters(virtual_cluster: str, counted: RayCount) -> Policy | None:
    """The refusal of the next one, while all are taken."""
    if not counted.full:
        return None
    message = _taken(virtual_cluster, counted)
    service = "object.metadata.?labels[?'ray.io/originated-from-cr-name'].orValue('')"
    told = f"""
        (object.metadata.?labels[?'ray.io/originated-from-crd'].orValue('') != 'RayService' ? ''
         : 'RayService ' + {service} + ' waits for one more Ray cluster, when it is upgraded a second '
         + 'beside the one that serves: ') + {text(message)}
    """
    # Anybody can write a label; only the worker's own Ray clusters have it from us.
    own = f"!({PLATFORM} && {text(LABEL_FROM_SPEC)} in object.metadata.?labels.orValue({{}}))"
    return Policy(
        "atoll-ray-count", _MADE, {"not-of-the-virtual-clusters-spec": own},
        rules=[Rule("false", message, told)],
    )  # fmt: skip


def warn_of_waiting_upgrades(virtual_cluster: str, counted: RayCount) -> Policy | None:
    """A warning, no refusal: with all taken, the second Ray cluster of an upgrade waits for one to go."""
    if not counted.full:
        return None
    only = [resources("ray.io", "v1", ["rayservices"], "UPDATE")]
    changed = "object.spec.?rayClusterConfig != oldObject.spec.?rayClusterConfig"
    return Policy(
        "atoll-ray-count-upgrades", only, {"changes-its-ray-cluster": changed},
        rules=[
            Rule(
                "object.spec.?upgradeStrategy.?type.orValue('NewCluster') == 'None'",
                "An upgrade of this RayService makes a second Ray cluster beside the one that serves, and "
                f"waits until there is room for it. {_taken(virtual_cluster, counted)}",
            )
        ],
        warn=True,
    )  # fmt: skip


def _taken(virtual_cluster: str, counted: RayCount) -> str:
    shown = ", ".join(counted.names[:_NAMED])
    more = f" and {len(counted.names) - _NAMED} more" if len(counted.names) > _NAMED else ""
    has = f" and has {len(counted.ranked)}: {shown}{more}. Delete one, or ask" if shown else ". Ask"
    return (
        f"Virtual cluster {virtual_cluster} may hold {count(counted.limit, 'Ray cluster')} in all "
        f"namespaces together{has} the team owner for more {RESOURCE} in its quota."
    )


def count_changes(counted: RayCount | None, found: Iterable[Object]) -> list[Change]:
    """Suspend what came past the quota and does not run yet; let go on what has room by now."""
    over = {_title(item) for item in counted.ranked[counted.limit :]} if counted else set()
    changes: list[Change] = []
    for item in found:
        held_back = ANNOTATION_OVER_QUOTA in (item["metadata"].get("annotations") or {})
        if item["metadata"].get("deletionTimestamp"):
            continue
        if _title(item) in over:
            # One that was held back has had no leave to run, whatever its user made of it since.
            if (held_back or not _has_run(item)) and not item["spec"].get("suspend"):
                changes.append(_suspended(item, so=True))
        elif held_back:
            changes.append(_suspended(item, so=False))
    return changes


def _has_run(item: Object) -> bool:
    """What runs stays, also when the quota was lowered below it."""
    status = item.get("status") or {}
    return status.get("state") == "ready" or "ready" in (status.get("stateTransitionTimes") or {})


def _suspended(item: Object, *, so: bool) -> Patch:
    meta = item["metadata"]
    note = {ANNOTATION_OVER_QUOTA: "true" if so else None}
    change = {"metadata": {"annotations": note}, "spec": {"suspend": so}}
    return Patch(RAY_CLUSTER, meta["name"], change, meta["namespace"], inside=True)
