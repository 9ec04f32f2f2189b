"""The door to the queue on a real Redis: what a hint is, and what a dead broker costs."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from atoll.dispatch import (
    HARD_LIMIT_SECONDS,
    QUEUE,
    SOFT_LIMIT_SECONDS,
    TASK,
    Dispatch,
    celery_app,
)
from atoll.settings import Settings


@pytest.fixture
def dispatch(redis_url: str) -> Iterator[Dispatch]:
    made = Dispatch(Settings(broker_url=redis_url))
    yield made
    made.close()


async def test_a_hint_is_json_and_carries_three_things(dispatch: Dispatch, redis_url: str) -> None:
    await answers(dispatch)
    assert await dispatch.send("VirtualCluster", "mine", 7)
    with redis.Redis.from_url(redis_url) as seen:
        (raw,) = seen.lrange(QUEUE, 0, -1)
        message: dict[str, Any] = json.loads(raw)
        assert message["content-type"] == "application/json"
        assert message["headers"]["task"] == TASK
        kwargs = "{'kind': 'VirtualCluster', 'name': 'mine', 'generation': 7}"
        assert message["headers"]["kwargsrepr"] == kwargs
        assert seen.keys("celery-task-meta-*") == []


async def test_a_dead_broker_costs_a_second_once_and_is_found_again(redis_url: str) -> None:
    dispatch = Dispatch(Settings(broker_url="redis://127.0.0.1:9/0"))
    try:
        start = time.monotonic()
        assert not await dispatch.send("VirtualCluster", "x", 1)
        assert time.monotonic() - start < 20  # it would hang for ever
        assert not await dispatch.send("VirtualCluster", "x", 1)
        assert not await dispatch.alive()
    finally:
        dispatch.close()


async def test_a_broker_that_lost_everything_takes_hints_again(
    dispatch: Dispatch, redis_url: str
) -> None:
    await answers(dispatch)
    assert await dispatch.send("VirtualCluster", "x", 1)
    with redis.Redis.from_url(redis_url) as seen:
        seen.flushall()
        seen.client_kill_filter(_type="normal", skipme=True)
        if not await dispatch.send("VirtualCluster", "x", 2):
            await answers(dispatch)
            assert await dispatch.send("VirtualCluster", "x", 2)
        assert seen.llen(QUEUE) == 1


async def answers(dispatch: Dispatch) -> None:
    """Wait for the queue, however long a busy machine takes over the first connection."""
    deadline = time.monotonic() + 60
    while not await dispatch.alive():
        assert time.monotonic() < deadline, "the queue does not answer"


async def asked(dispatch: Dispatch) -> bool:
    """The answer, however often a busy machine leaves the question without one."""
    deadline = time.monotonic() + 60
    while (answered := await dispatch.worked_on()) is None:
        assert time.monotonic() < deadline, "the queue could not be asked"
    return answered


async def test_a_worker_that_runs_is_seen_and_one_that_does_not_is_missed(
    dispatch: Dispatch, redis_url: str, tmp_path: Path
) -> None:
    assert await asked(dispatch) is False
    environment = os.environ | {
        "ATOLL_BROKER_URL": redis_url, "ATOLL_RUNTIME_DIR": str(tmp_path),
        "ATOLL_KUBECONFIG": str(tmp_path / "none"),
    }  # fmt: skip
    command = [sys.executable, "-m", "celery", "-A", "atoll_worker.app", "worker"]
    with (tmp_path / "log").open("wb") as log:
        worker = subprocess.Popen([*command, "--concurrency", "1"], env=environment, stdout=log,
                                  stderr=log)  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while not await dispatch.worked_on():
            assert time.monotonic() < deadline, (tmp_path / "log").read_text()[-2000:]
    finally:
        worker.kill()
        worker.wait(20)
    assert await dispatch.worked_on() is True  # believed for a while
    other = Dispatch(Settings(broker_url=redis_url))
    assert await asked(other) is False
    other.close()


async def test_workers_behind_a_dead_queue_are_not_known(redis_url: str) -> None:
    dispatch = Dispatch(Settings(broker_url="redis://127.0.0.1:9/0"))
    assert await dispatch.worked_on() is None
    dispatch.close()


def test_both_sides_agree_on_how_to_fail() -> None:
    conf = celery_app(Settings()).conf
    assert conf.task_acks_late
    assert conf.task_reject_on_worker_lost
    assert conf.worker_prefetch_multiplier == 1
    assert list(conf.accept_content) == ["json"]
    assert conf.result_backend is None
    assert SOFT_LIMIT_SECONDS < HARD_LIMIT_SECONDS
    assert conf.broker_transport_options["visibility_timeout"] > HARD_LIMIT_SECONDS
