"""What an operation says, for every way it can go."""

from typing import Any

import pytest

from atoll.application.operations import read_operation
from atoll.application.reads import virtual_cluster_read
from atoll.resources.meta import Condition, Metadata
from atoll.resources.virtual_clusters import (
    StepStatus,
    VirtualCluster,
    VirtualClusterSpec,
    VirtualClusterStatus,
)


def virtual_cluster(
    *,
    generation: int = 1,
    observed: int = 1,
    ready: str = "False",
    deleting: bool = False,
    **status: Any,
) -> VirtualCluster:
    conditions = [Condition.model_validate({"type": "Ready", "status": ready, "message": "words"})]
    return VirtualCluster(
        metadata=Metadata(
            name="vc",
            uid="u",
            generation=generation,
            deletion_timestamp="now" if deleting else None,
        ),
        spec=VirtualClusterSpec(team="t"),
        status=VirtualClusterStatus(observed_generation=observed, conditions=conditions, **status),
    )


def test_what_is_to_be_deleted_is_not_called_ready() -> None:
    assert virtual_cluster_read(virtual_cluster(phase="Ready")).status.phase == "Ready"
    asked = virtual_cluster(phase="Ready", generation=2, deleting=True)
    assert virtual_cluster_read(asked).status.phase == "Deleting"


@pytest.mark.parametrize(
    ("found", "generation", "gone", "action", "state"),
    [
        (virtual_cluster(observed=0), 1, False, "create", "running"),
        (virtual_cluster(), 1, False, "create", "running"),
        (virtual_cluster(ready="True"), 1, False, "create", "succeeded"),
        (virtual_cluster(phase="Failed"), 1, False, "create", "failed"),
        (virtual_cluster(generation=2, observed=1, ready="True"), 2, False, "update", "running"),
        (virtual_cluster(generation=2, observed=1, phase="Failed"), 2, False, "update", "running"),
        (virtual_cluster(generation=2, observed=1, ready="True"), 1, False, "create", "succeeded"),
        (virtual_cluster(generation=2, observed=2, ready="True"), 2, False, "update", "succeeded"),
        (virtual_cluster(generation=2, deleting=True), 2, False, "delete", "running"),
        (virtual_cluster(generation=2, deleting=True), 1, False, "create", "failed"),
        (virtual_cluster(generation=2, deleting=True), 2, True, "delete", "succeeded"),
        (virtual_cluster(generation=1), 2, True, "delete", "succeeded"),
    ],
)
def test_states(
    found: VirtualCluster, generation: int, gone: bool, action: str, state: str
) -> None:
    operation = read_operation(found, generation, gone=gone)
    assert (operation.action, operation.state) == (action, state)
    assert (operation.error is not None) == (state == "failed")
    assert (operation.percent == 100) == (state == "succeeded")


def test_percent_counts_finished_steps() -> None:
    steps = [
        StepStatus(name=str(i), title="", state="done" if i < 1 else "waiting") for i in range(3)
    ]
    assert read_operation(virtual_cluster(steps=steps), 1, gone=False).percent == 33
