"""Statuses of a virtual cluster on its way, as the worker writes them."""

from datetime import UTC, datetime, timedelta
from typing import Any

STEPS = (
    ("admission", "Reserve the quota", "Admitted"),
    ("namespace", "Make the namespace", "NamespaceReady"),
    ("guard-rails", "Put up the guard rails", "GuardRailsReady"),
    ("nodes", "Take the nodes", "NodesReady"),
    ("redis", "Start Redis for the Ray head's state", "RedisReady"),
    ("control-plane", "Start the virtual control plane", "ControlPlaneReady"),
    ("access", "Open the door", "AccessReady"),
    ("operator", "Install KubeRay", "OperatorReady"),
    ("scheduler", "Install the gang scheduler", "SchedulerReady"),
    ("queue", "Make the team's queue", "QueueReady"),
    ("policies", "Enforce by admission", "PoliciesReady"),
    ("ray-clusters", "Start the Ray clusters", "RayClustersReady"),
    ("probe", "Try it as the team would", "ProbeReady"),
)
"""Name, title and condition, as the worker has them."""


def ago(seconds: float, now: datetime | None = None) -> str:
    """An RFC 3339 time that many seconds before now."""
    return ((now or datetime.now(UTC)) - timedelta(seconds=seconds)).isoformat(
        timespec="milliseconds"
    )


def status_at(
    done: int,
    *,
    failed: str = "",
    waiting: str = "WaitingForControlPlane",
    now: datetime | None = None,
) -> dict[str, Any]:
    """`done` steps are done; the next one runs since 5 s, or failed with that message."""
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
    ready = done >= len(STEPS)
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
