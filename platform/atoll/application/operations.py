"""Operations: the way from one generation of a virtual cluster to its observed state."""

from typing import Literal

from atoll.application.callers import Caller, may_see
from atoll.application.events import VirtualClusterFeed
from atoll.application.validation import stored
from atoll.cluster import kinds
from atoll.cluster.client import Cluster
from atoll.contract.base import Problem
from atoll.contract.operations import OperationRead, OperationState
from atoll.errors import NotFoundError, PermanentError
from atoll.resources.virtual_clusters import VirtualCluster
from atoll.telemetry.logs import about

Action = Literal["create", "update", "delete"]


class Operations:
    """Use cases of operations; nothing is stored, everything is read from the virtual cluster."""

    def __init__(self, cluster: Cluster, feed: VirtualClusterFeed) -> None:
        self._cluster = cluster
        self._feed = feed

    async def get(self, caller: Caller, operation_id: str) -> OperationRead:
        """One operation. NotFoundError when there is none, or the caller may not see it."""
        uid, _, text = operation_id.rpartition(".")
        generation = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
        found, gone = await self._find(uid) if uid and generation else (None, False)
        if found is None or not may_see(caller, found.spec.team):
            raise _unknown(operation_id)
        # A deletion is the last generation, and may be one that nobody saw in between.
        if generation > found.metadata.generation + (1 if gone else 0):
            raise _unknown(operation_id)
        about(team=found.spec.team, virtual_cluster=found.name, operation=operation_id)
        return read_operation(found, generation, gone=gone)

    async def _find(self, uid: str) -> tuple[VirtualCluster | None, bool]:
        """The virtual cluster as it is, or as it was last seen, and whether it is gone."""
        known = self._feed.find_uid(uid)
        if known and self._feed.is_gone(uid):
            return known, True
        if known:
            found = await self._cluster.find(kinds.VIRTUAL_CLUSTER, known.name)
            if found and found["metadata"]["uid"] == uid:
                return stored(VirtualCluster, found), False
            return known, True
        for item in await self._cluster.items(kinds.VIRTUAL_CLUSTER):
            if item["metadata"]["uid"] == uid:
                return stored(VirtualCluster, item), False
        return None, False


def _unknown(operation_id: str) -> NotFoundError:
    return NotFoundError(
        f"There is no operation {operation_id[:80]!r}; operations of deleted virtual clusters are "
        "remembered for a while only"
    )


def read_operation(found: VirtualCluster, generation: int, *, gone: bool) -> OperationRead:
    """The operation of this generation as it stands. Pure."""
    newest = generation >= found.metadata.generation
    action = _action(found, generation, gone=gone)
    state = _state(found, generation, action, gone=gone)
    steps = found.status.steps
    done = sum(step.state == "done" for step in steps)
    percent = 100 if state == "succeeded" else done * 100 // len(steps) if steps else 0
    ready = found.condition("Ready")
    failed = state == "failed"
    return OperationRead(
        id=f"{found.metadata.uid}.{generation}",
        target=found.name,
        action=action,
        state=state,
        percent=percent,
        steps=steps,
        message=_message(found, state, newest=newest),
        started_at=_started(found, generation),
        ended_at=ready.last_transition_time or None if state != "running" and not gone else None,
        error=_problem(ready.reason, ready.message) if failed else None,
    )


def _action(found: VirtualCluster, generation: int, *, gone: bool) -> Action:
    last = generation >= found.metadata.generation
    if last and (found.deleting or gone) and generation > 1:
        return "delete"
    return "create" if generation == 1 else "update"


def _state(found: VirtualCluster, generation: int, action: Action, *, gone: bool) -> OperationState:
    if action == "delete":
        return "succeeded" if gone else "running"
    if gone or found.deleting:
        return "failed"
    if found.status.observed_generation < generation:
        return "running"
    if found.status.phase == "Failed":
        return "failed"
    return "succeeded" if found.condition("Ready").status == "True" else "running"


def _message(found: VirtualCluster, state: OperationState, *, newest: bool) -> str:
    if state == "failed" and not newest:
        return f"Overtaken by a later change (generation {found.metadata.generation})"
    ready = found.condition("Ready")
    if state == "running" and found.status.observed_generation < found.metadata.generation:
        return "Accepted; work starts in a moment"
    return ready.message


def _started(found: VirtualCluster, generation: int) -> str | None:
    if generation == 1:
        return found.metadata.creation_timestamp
    return found.status.operation_started_at


def _problem(reason: str, message: str) -> Problem:
    body = PermanentError(message or "It cannot go on", reason=reason, who="admin").problem()
    return Problem.model_validate(body | {"code": "permanent"})
