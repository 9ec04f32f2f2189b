"""When a drain has taken long enough, and what is done then."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest

from atoll.domain.names import ANNOTATION_DRAINING
from atoll.domain.nodes import HostNode
from atoll.resources.virtual_clusters import VirtualCluster
from atoll_worker.reconcile.draining import Staying, overdue
from atoll_worker.reconcile.outcome import Change, Evict, Expel, Patch
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.steps.nodes import Nodes, Seen

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("since", "deadline", "over"),
    [
        ("2026-11-21T11:00:00+00:00", None, False),
        ("2026-11-21T11:00:00+00:00", 3600, True),
        ("2026-11-21T11:00:01+00:00", 3600, False),
        ("2026-11-21T12:00:00+00:00", 0, True),
        (None, None, False),
        (None, 3600, False),
        (None, 0, True),
    ],
)
def test_a_drain_is_over_its_deadline(since: str | None, deadline: int | None, over: bool) -> None:
    assert overdue(since, NOW, deadline) is over


def planned(since: str | None, deadline: int | None, *, cordoned: bool = True) -> list[Change]:
    """What is done about one pod that stays and one that goes on a node to be given back."""
    notes = {} if since is None else {ANNOTATION_DRAINING: since}
    meta = {"name": "n1", "resourceVersion": "5", "annotations": notes}
    node = {"metadata": meta, "spec": {"unschedulable": cordoned}}
    pods = (Staying("held", "ray/held", False, "7"), Staying("going", "ray/going", True, "8"))
    owned = HostNode("n1", "4c8g", "lab", pods=2, leaving=True)
    spec = {"team": "t", "replicaSets": {"4c8g": 0}, "drainDeadlineSeconds": deadline}
    vc = VirtualCluster.model_validate({"metadata": {"name": "lab"}, "spec": spec})
    scope = cast(Scope, SimpleNamespace(vc=vc, namespace="vc-lab"))
    return Nodes().plan(scope, Seen((owned,), {"n1": node}, {"n1": pods}, NOW))


LONG_AGO = "2026-11-21T10:00:00+00:00"


def test_within_the_deadline_and_without_one_pods_are_asked() -> None:
    asked = [Evict("held", "vc-lab")]
    assert planned(LONG_AGO, None) == planned(LONG_AGO, 36000) == planned(None, 60) == asked


def test_past_the_deadline_what_is_left_is_deleted_as_it_was_read() -> None:
    deleted = [Expel("held", "vc-lab", "7")]
    assert planned(LONG_AGO, 3600) == planned(LONG_AGO, 0) == planned(None, 0) == deleted


def test_a_node_that_is_not_cordoned_is_cordoned_first() -> None:
    cordon, asked = planned(None, 0, cordoned=False)
    assert isinstance(cordon, Patch)
    assert asked == Evict("held", "vc-lab")
