"""What the status says of a virtual cluster that cannot be read."""

from typing import Any

import pytest
from pydantic import ValidationError

from atoll.resources.virtual_clusters import VirtualCluster, VirtualClusterStatus
from atoll_worker.reconcile import unreadable

NOW, BEFORE = "2026-01-02T00:00:00.000Z", "2026-01-01T00:00:00.000Z"


def stored(**metadata: Any) -> dict[str, Any]:
    """One that was Ready before somebody wrote a quota that is none."""
    conditions = [
        {"type": "Admitted", "status": "True", "reason": "Done", "lastTransitionTime": BEFORE},
        {"type": "Ready", "status": "True", "reason": "Ready", "lastTransitionTime": BEFORE},
    ]
    return {
        "metadata": {"name": "lab", "generation": 2, **metadata},
        "spec": {"team": "blue", "quota": {"cpu": "much"}},
        "status": {"observedGeneration": 1, "fence": 7, "nodes": ["n"], "conditions": conditions},
    }


def test_the_words_name_the_field_and_the_way_out() -> None:
    with pytest.raises(ValidationError) as error:
        VirtualCluster.model_validate(stored())
    told = unreadable.words(stored(), error.value)
    assert told.startswith("spec.quota.cpu: 'much' is not a quantity")
    assert told.endswith("kubectl edit virtualclusters.atoll.dev lab")


def test_ready_is_false_and_the_rest_stays() -> None:
    status = unreadable.status_of(stored(), "why", NOW)
    kept = {key: value for key, value in status.items() if value is not None}
    read = VirtualClusterStatus.model_validate(kept)
    assert (read.phase, read.observed_generation, read.fence) == ("Failed", 2, 7)
    assert read.nodes == ["n"]
    admitted, ready = read.conditions
    assert (admitted.status, admitted.last_transition_time) == ("True", BEFORE)
    assert (ready.status, ready.reason, ready.message) == ("False", "StoredInvalid", "why")
    assert (ready.last_transition_time, ready.observed_generation) == (NOW, 2)


def test_it_is_told_once_per_wish_and_again_when_it_is_to_go() -> None:
    assert not unreadable.already_told(stored())
    told = stored() | {"status": unreadable.status_of(stored(), "why", NOW)}
    assert unreadable.already_told(told)
    assert not unreadable.already_told(told | {"metadata": {"name": "lab", "generation": 3}})
    going = stored(deletionTimestamp=NOW)["metadata"]
    assert not unreadable.already_told(told | {"metadata": going})
    last = unreadable.status_of(told | {"metadata": going}, "why", "2026-01-03T00:00:00.000Z")
    assert last["phase"] == "Deleting"
    assert last["conditions"][1]["lastTransitionTime"] == NOW  # it was False already
