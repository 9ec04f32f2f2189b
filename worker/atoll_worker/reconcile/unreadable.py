"""What is told of a virtual cluster whose stored form our models refuse. Pure.

kubectl can write what the definition's schema lets through and our rules do not, such as a quota of
"abc". No step can run then; the status still says why and who can mend it.
"""

from typing import Any

from pydantic import ValidationError

from atoll.cluster.client import Object
from atoll.resources.faults import first_of
from atoll.resources.meta import Condition
from atoll.resources.virtual_clusters import VirtualCluster

REASON = "StoredInvalid"


def words(item: Object, error: ValidationError) -> str:
    """Which field, what is wrong with it, and the way out."""
    edit = f"kubectl edit {VirtualCluster.PLURAL}.atoll.dev {item['metadata']['name']}"
    return f"{first_of(error)}. Mend it with: {edit}"


def already_told(item: Object) -> bool:
    """Whether the status says it of the generation that is stored now."""
    ready = _ready(item)
    generation = item["metadata"].get("generation", 0)
    return bool(
        ready
        and ready.get("reason") == REASON
        and ready.get("observedGeneration") == generation
        and _status(item).get("phase") == _phase(item)
    )


def status_of(item: Object, message: str, now: str) -> Object:
    """The whole status with Ready=False for this reason; what else it says stays as it was."""
    old, generation = _ready(item) or {}, item["metadata"].get("generation", 0)
    since = old.get("lastTransitionTime", now) if old.get("status") == "False" else now
    ready = Condition(
        type="Ready", status="False", reason=REASON, message=message,
        last_transition_time=since, observed_generation=generation,
    )  # fmt: skip
    others = [c for c in _status(item).get("conditions", []) if c.get("type") != "Ready"]
    return {
        **_status(item),
        "phase": _phase(item),
        "observedGeneration": generation,
        "conditions": [*others, ready.dump()],
        "retryAt": None,  # in a merge patch: taken away, as only a change can help
    }


def _status(item: Object) -> dict[str, Any]:
    return item.get("status") or {}


def _ready(item: Object) -> dict[str, Any] | None:
    conditions = _status(item).get("conditions", [])
    return next((c for c in conditions if c.get("type") == "Ready"), None)


def _phase(item: Object) -> str:
    return "Deleting" if item["metadata"].get("deletionTimestamp") else "Failed"
