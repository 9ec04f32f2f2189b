"""Volcano: PodGroups and Queues of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from atoll.cluster.client import Object
from atoll.cluster.kinds import POD_GROUP, QUEUE, Kind
from atoll.domain.names import pod_group_name
from atoll.domain.queue_shares import QueueShare, queue_amounts
from atoll.domain.schedulers import VOLCANO, Scheduler
from atoll.resources.profiles import Profile

CONFIGURATION = """\
actions: "allocate, backfill"
tiers:
- plugins:
  - name: priority
  - name: gang
    enablePreemptable: false
  - name: conformance
- plugins:
  - name: predicates
  - name: proportion
  - name: nodeorder
  - name: binpack
"""
"""The chart's own less `drf`, `enqueue` and `overcommit`.

`drf` lets the gang with the smallest share go first, so a gang that lost a pod stands behind each new one,
which takes its place (volcano-sh/volcano#5805). Without it the older gang goes first. Queues, which are
what teams share by, are not its business. `enqueue` lets gangs in by an estimate before they can be placed,
and then keeps room for them: a gang that fits is held up by one that does not.
"""


@dataclass(frozen=True)
class Volcano:
    """Scheduler and controller of Volcano, without its webhooks."""

    facts: Scheduler = VOLCANO
    release: str = "volcano"
    deployments: tuple[str, ...] = ("volcano-scheduler", "volcano-controllers")
    environment: Mapping[str, str] = field(default_factory=dict)
    told_by: Kind = POD_GROUP

    def values(self, profile: Profile) -> dict[str, Any]:
        """Pulls only what is not there, and asks for little."""
        basic: dict[str, Any] = {"image_pull_policy": "IfNotPresent"}
        if profile.spec.registry:
            basic["image_registry"] = profile.spec.registry
        small = {
            "requests": {"cpu": "50m", "memory": "64Mi"},
            "limits": {"memory": "512Mi"},
        }
        return {
            "basic": basic,
            "custom": {
                "admission_enable": False,
                "scheduler_config_override": CONFIGURATION,
                "scheduler_resources": small,
                "controller_resources": small,
            },
        }

    def queue_spec(self, queue: str, share: QueueShare, labels: dict[str, str]) -> Object:
        """A Queue. What is empty of the share is not limited, or not promised."""
        spec: dict[str, Any] = {"weight": 1, "reclaimable": False}
        if share.capability:
            spec |= {"capability": dict(share.capability), "deserved": dict(share.deserved)}
        if share.guarantee:
            spec["guarantee"] = {"resource": dict(share.guarantee)}
        return {
            "apiVersion": QUEUE.api_version,
            "kind": QUEUE.kind,
            "metadata": {"name": queue, "labels": labels},
            "spec": spec,
        }

    def amounts(self, queue: Object | None) -> dict[str, dict[str, str]]:
        """All three parts."""
        return queue_amounts(queue)

    def explain(self, ray_cluster: str, told: Sequence[Object]) -> str:
        """The PodGroup's condition Unschedulable."""
        name = pod_group_name(ray_cluster)
        group = next((one for one in told if one["metadata"]["name"] == name), {})
        said = [
            condition.get("message", "")
            for condition in (group.get("status") or {}).get("conditions") or []
            if condition.get("type") == "Unschedulable" and condition.get("status") == "True"
        ]
        return str(said[-1]) if said else ""
