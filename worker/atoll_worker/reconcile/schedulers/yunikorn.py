"""Apache YuniKorn: gangs by placeholder pods, queues in one ConfigMap, no kinds of its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from atoll.cluster.client import Object
from atoll.cluster.kinds import POD, Kind
from atoll.domain.names import SYSTEM_NAMESPACE
from atoll.domain.quantities import parse_quantity
from atoll.domain.queue_shares import QueueShare
from atoll.domain.quotas import amount_text
from atoll.domain.ray_clusters import mirrored
from atoll.domain.schedulers import YUNIKORN, Scheduler
from atoll.resources.profiles import Profile

IMAGE, PLACEHOLDER_IMAGE = "docker.io/apache/yunikorn", "registry.k8s.io/pause:3.10"
_PLACEHOLDER = "internal.yunikorn.apache.org/placeholder"

_READ_LIMIT = 16 * 1024
"""Most characters of the queues' text that are read: an owner may write any."""

_ENVIRONMENT = {"DISABLE_RESERVATION": "true"}
"""A pod that does not fit would reserve a node after two seconds, and nothing else is placed on a reserved
node, also what would fit there (yunikorn-core, objects/application.go). The chart has no value for it.
"""


@dataclass(frozen=True)
class YuniKorn:
    """Its scheduler, without its admission controller (a webhook) and its web pages."""

    facts: Scheduler = YUNIKORN
    release: str = "yunikorn"
    deployments: tuple[str, ...] = ("yunikorn-scheduler",)
    environment: Mapping[str, str] = field(default_factory=lambda: dict(_ENVIRONMENT))
    told_by: Kind = POD

    def values(self, profile: Profile) -> dict[str, Any]:
        """The image's tag follows the chart's version, as upstream releases them."""
        registry, version = profile.spec.registry, profile.spec.scheduler.chart.version
        return {
            "embedAdmissionController": False,
            "enableWebService": False,
            "image": {
                "repository": mirrored(IMAGE, registry),
                "tag": f"scheduler-{version.removeprefix('v')}",
                "pullPolicy": "IfNotPresent",
            },
            "resources": {
                "requests": {"cpu": "100m", "memory": "128Mi"},
                "limits": {"memory": "1Gi"},
            },
            "yunikornDefaults": {
                "service.placeholderImage": mirrored(PLACEHOLDER_IMAGE, registry),
            },
        }

    def queue_spec(self, queue: str, share: QueueShare, labels: dict[str, str]) -> Object:
        """The ConfigMap that YuniKorn reads, and reads again when it changes.

        One leaf below root and no other may be made, so whatever a pod says, it is this queue or
        none. First come, first served: of two gangs that reserve, the older gets its places first.
        """
        leaf: dict[str, Any] = {"name": queue, "properties": {"application.sort.policy": "fifo"}}
        limits = {"max": share.capability, "guaranteed": share.guarantee}
        amounts = {
            word: dict(_maximum(name, amount) for name, amount in part.items())
            for word, part in limits.items()
            if part
        }
        if amounts:
            leaf["resources"] = amounts
        partition = {
            "name": "default",
            "placementrules": [{"name": "provided", "create": False}],
            "queues": [{"name": "root", "submitacl": "*", "queues": [leaf]}],
        }
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": "yunikorn-configs",
                "namespace": SYSTEM_NAMESPACE,
                "labels": labels,
            },
            "data": {"queues.yaml": yaml.safe_dump({"partitions": [partition]}, sort_keys=True)},
        }

    def amounts(self, queue: Object | None) -> dict[str, dict[str, str]]:
        """`max` and `guaranteed` of the leaf; nothing where the text is not as `queue_spec` makes it."""
        text = str(((queue or {}).get("data") or {}).get("queues.yaml", ""))
        try:
            leaf = yaml.safe_load(text[:_READ_LIMIT])["partitions"][0]["queues"][0]["queues"][0]
            told = leaf.get("resources") or {}
            parts = {"capability": told.get("max"), "guarantee": told.get("guaranteed")}
            return {
                part: dict(_amount(str(n), str(a)) for n, a in (lines or {}).items())
                for part, lines in parts.items()
            }
        except (yaml.YAMLError, RecursionError, LookupError, TypeError, AttributeError):
            return {}

    def explain(self, ray_cluster: str, told: Sequence[Object]) -> str:
        """How many places are reserved, and what the scheduler says of one that is not.

        Reservations are placeholder pods; a gang that was refused as a whole has failed pods.
        """
        members = [pod for pod in told if _label(pod, "ray.io/cluster") == ray_cluster]
        gangs = {_label(pod, self.facts.identity_label) for pod in members} - {""}
        mine = [pod for pod in told if _label(pod, self.facts.identity_label) in gangs]
        refused = [_refusal(pod) for pod in mine if _refusal(pod)]
        if refused:
            return refused[-1]
        places = [pod for pod in mine if _note(pod, _PLACEHOLDER) == "true"]
        waiting = [pod for pod in places if not pod["spec"].get("nodeName")]
        if not waiting:
            return ""
        said = next((words for pod in waiting if (words := _words(pod))), "no reason given")
        return f"{len(places) - len(waiting)} of {len(places)} places reserved; {said}"


def _maximum(resource: str, amount: str) -> tuple[str, str]:
    """A line of `max` as YuniKorn writes amounts: whole numbers, the cores in thousandths."""
    value = parse_quantity(amount)
    if resource == "cpu":
        return "vcore", f"{int(value * 1000)}m"
    return resource, str(int(value))


def _amount(resource: str, text: str) -> tuple[str, str]:
    """The inverse; what is no amount as it was written."""
    resource = "cpu" if resource == "vcore" else resource
    try:
        return resource, amount_text(resource, parse_quantity(text))
    except ValueError:
        return resource, text


def _label(pod: Object, label: str) -> str:
    return str((pod["metadata"].get("labels") or {}).get(label, ""))


def _note(pod: Object, annotation: str) -> str:
    return str((pod["metadata"].get("annotations") or {}).get(annotation, ""))


def _refusal(pod: Object) -> str:
    status = pod.get("status") or {}
    known = ("ApplicationRejected", "ResourceReservationTimeout")
    return str(status.get("message", "")).strip() if status.get("reason") in known else ""


def _words(pod: Object) -> str:
    conditions = (pod.get("status") or {}).get("conditions") or []
    said = [c.get("message", "") for c in conditions if c.get("type") == "PodScheduled"]
    return str(said[-1]) if said else ""
