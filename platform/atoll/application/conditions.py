"""Findings as conditions of a status, with the times and the generation that belong to them."""

from collections.abc import Sequence

from atoll.cluster.client import Object
from atoll.domain.findings import Finding
from atoll.resources.meta import now_text


def status_with(item: Object, found: Sequence[Finding]) -> Object | None:
    """The item's status with these conditions and its generation; None when it says all that already.

    Conditions of other types stay as they are, and so does everything else of the status.
    """
    status, generation = item.get("status") or {}, item["metadata"].get("generation", 0)
    old = {c["type"]: c for c in status.get("conditions") or []}
    new = [_condition(f, old.get(f.type), generation) for f in found]
    ours = {f.type for f in found}
    said = [_words(c) for c in old.values() if c["type"] in ours]
    if [_words(c) for c in new] == said and status.get("observedGeneration") == generation:
        return None
    others = [condition for kind, condition in old.items() if kind not in ours]
    return {**status, "observedGeneration": generation, "conditions": [*new, *others]}


def _words(condition: Object) -> tuple[object, ...]:
    return tuple(condition.get(key) for key in ("type", "status", "reason", "message"))


def _condition(found: Finding, before: Object | None, generation: int) -> Object:
    status = "True" if found.holds else "False"
    same = before is not None and before.get("status") == status
    since = before.get("lastTransitionTime") if before and same else None
    return {
        "type": found.type,
        "status": status,
        "reason": found.reason,
        "message": found.message,
        "lastTransitionTime": since or now_text(),
        "observedGeneration": generation,
    }
