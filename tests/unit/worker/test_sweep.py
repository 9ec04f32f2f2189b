"""When the sweeper hints."""

from datetime import UTC, datetime, timedelta

from atoll.resources.virtual_clusters import VirtualCluster
from atoll_worker.sweep import Known, due

WALL = datetime(2026, 1, 1, tzinfo=UTC)


def known(
    *, ready: bool, hinted: float, retry_in: float | None = None, generation: int = 1
) -> Known:
    retry = (WALL + timedelta(seconds=retry_in)).isoformat() if retry_in is not None else None
    vc = VirtualCluster.model_validate(
        {
            "metadata": {"name": "x", "generation": generation},
            "spec": {"team": "t"},
            "status": {
                "observedGeneration": 1,
                "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
                "retryAt": retry,
            },
        }
    )
    return Known(vc, since=0.0, hinted=hinted)


def test_a_converged_one_is_left_alone_until_the_resync() -> None:
    assert not due(known(ready=True, hinted=0), 299, WALL, 300)
    assert due(known(ready=True, hinted=0), 300, WALL, 300)


def test_an_open_one_is_hinted_at_again_soon_and_later_less_often() -> None:
    assert due(known(ready=False, hinted=10), 11, WALL, 300)
    assert not due(known(ready=False, hinted=10), 10.2, WALL, 300)
    assert not due(known(ready=False, hinted=200), 203, WALL, 300)
    assert due(known(ready=False, hinted=200), 206, WALL, 300)


def test_a_failing_one_waits_for_its_time_unless_the_wish_changed() -> None:
    assert not due(known(ready=False, hinted=0, retry_in=5), 60, WALL, 300)
    assert due(known(ready=False, hinted=0, retry_in=-1), 60, WALL, 300)
    assert due(known(ready=False, hinted=0, retry_in=5, generation=2), 60, WALL, 300)
