"""Operations on the wire: the way from one generation of a virtual cluster to its observed state."""

from typing import Literal

from atoll.contract.base import Problem
from atoll.resources.meta import Model
from atoll.resources.virtual_clusters import StepStatus

OperationState = Literal["running", "succeeded", "failed"]


class OperationRef(Model):
    """Where to look for the progress of a change. `warning` says what is slower than usual."""

    id: str
    href: str
    warning: str | None = None


class OperationRead(Model):
    """Progress of one change. `percent` counts finished steps, it is never invented."""

    id: str
    kind: str = "VirtualCluster"
    target: str
    action: Literal["create", "update", "delete"]
    state: OperationState
    percent: int
    steps: list[StepStatus]
    message: str = ""
    started_at: str | None = None
    ended_at: str | None = None
    error: Problem | None = None
