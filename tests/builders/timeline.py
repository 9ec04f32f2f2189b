"""Statuses of a virtual cluster on its way, as the worker writes them."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

from atoll.resources.meta import Metadata
from atoll.resources.virtual_clusters import VirtualCluster, VirtualClusterSpec
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.steps import all_steps

DEDICATED = SimpleNamespace(
    vc=VirtualCluster(
        metadata=Metadata(name="lab"), spec=VirtualClusterSpec(team="science", mode="dedicated")
    ),
    external=None,
)
"""What a step asks before it says whether it applies: a dedicated virtual cluster with its own Redis."""
STEPS = tuple(
    (step.name, step.title, step.condition)
    for step in all_steps()
    if step.applies(cast("Scope", DEDICATED))
)
"""Name, title and condition, as the worker has them for a dedicated virtual cluster."""
ALL = len(STEPS)


def place(name: str) -> int:
    """How many steps come before the one of that name."""
    return [step for step, _, _ in STEPS].index(name)


def where(name: str) -> str:
    """The place of a step as the pages say it."""
    return f"step {place(name) + 1} of {ALL}"


def ago(seconds: float, now: datetime | None = None) -> str:
    """An RFC 3339 time that many seconds before now."""
    return ((now or datetime.now(UTC)) - timedelta(seconds=seconds)).isoformat(
        timespec="milliseconds"
    )


def status_at(
    at: str | None = None,
    *,
    failed: str = "",
    waiting: str = "WaitingForControlPlane",
    now: datetime | None = None,
) -> dict[str, Any]:
    """The steps before the one named `at` are done, and it runs since 5 s, or failed with that message;
    without `at` all are done.
    """
    done = ALL if at is None else place(at)
    steps: list[dict[str, Any]] = []
    conditions: list[dict[str, Any]] = []
    for index, (name, title, kind) in enumerate(STEPS):
        step: dict[str, Any] = {"name": name, "title": title, "state": "waiting", "reason": waiting}
        condition = {"type": kind, "status": "Unknown", "reason": waiting, "message": ""}
        if index < done:
            begun = 5 + 2 * (done - index)
            step |= {"state": "done", "reason": "Done", "startedAt": ago(begun, now)}
            step["finishedAt"] = ago(begun - 2, now)
            condition |= {"status": "True", "reason": "Done"}
        elif index == done:
            state = "failed" if failed else "running"
            reason, message = ("ChartMissing", failed) if failed else ("Starting", "0 of 1 ready")
            step |= {"state": state, "reason": reason, "message": message, "startedAt": ago(5, now)}
            condition |= {"status": "False", "reason": reason, "message": message}
        conditions.append(condition | {"lastTransitionTime": ago(5, now), "observedGeneration": 1})
        steps.append(step)
    ready = done == ALL
    conditions.append({
        "type": "Ready", "status": "True" if ready else "False",
        "reason": "Ready" if ready else "Installing", "message": "",
        "lastTransitionTime": ago(5, now), "observedGeneration": 1,
    })  # fmt: skip
    return {
        "phase": "Ready" if ready else "Failed" if failed else "Provisioning",
        "observedGeneration": 1,
        "steps": steps,
        "conditions": conditions,
    }
