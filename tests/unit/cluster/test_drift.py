"""When an object says what we want, nothing is written."""

import pytest

from atoll.cluster.drift import says
from atoll.domain.names import ANNOTATION_FENCE


@pytest.mark.parametrize(
    ("observed", "desired", "same"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"cpu": "1"}, {"cpu": "1000m"}, True),
        ({"memory": "1Gi"}, {"memory": "1024Mi"}, True),
        ({"memory": "1G"}, {"memory": "1Gi"}, False),
        ({"list": [1, 2]}, {"list": [1]}, False),
        ({"list": [{"a": 1, "x": 0}]}, {"list": [{"a": 1}]}, True),
        (None, {"a": 1}, False),
        ({}, {"labels": {}}, True),
        ({"flag": True}, {"flag": False}, False),
        ({"name": "a"}, {"name": "b"}, False),
    ],
)
def test_desired_is_in_observed(observed: object, desired: object, same: bool) -> None:
    assert says(observed, desired) is same


def test_another_fence_is_no_change() -> None:
    observed = {"annotations": {ANNOTATION_FENCE: "3"}}
    assert says(observed, {"annotations": {ANNOTATION_FENCE: "4"}})
