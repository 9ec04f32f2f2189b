"""Three Redis pods by the rendered scripts: what fails is survived, and nothing known is forgotten."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from charts.rendering import render
from charts.three_redis import PODS, Three
from waiting import until


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Three]:
    made = Three(render("tenant", "three"), tmp_path)
    try:
        for pod in PODS:
            made.start(pod)
        made.all_ready()
        yield made
    finally:
        made.stop()


def followed(three: Three, lost: str) -> str:
    """The primary that takes over from a lost one, when it takes writes."""
    until(lambda: three.primary() not in ("", lost), f"another than {lost} is the primary", 60)
    return three.primary()


def test_the_first_start_makes_the_first_pod_the_primary(three: Three) -> None:
    assert three.primary() == "redis-0"
    roles = [three.ask(f"redis-{n}", "role").split()[0] for n in (0, 1, 2)]
    assert roles == ["master", "slave", "slave"]
    told = three.ask("redis-1", "config", "get", "maxmemory-policy").split()
    assert told == ["maxmemory-policy", "noeviction"]


def test_a_lost_primary_is_followed_and_comes_back_as_a_replica(three: Three) -> None:
    assert three.ask("redis-0", "set", "k", "kept") == "OK"
    three.kill("redis-0")
    until(lambda: not any("sentinel" in pod for pod in three.ready()), "nobody is sent there", 15)
    heir = followed(three, "redis-0")
    assert three.ask(heir, "get", "k") == "kept"
    assert three.ask(heir, "set", "k", "newer") == "OK"
    three.start("redis-0")
    three.all_ready()
    assert three.primary() == heir
    assert three.ask("redis-0", "get", "k") == "newer"


def test_an_empty_volume_is_filled_and_never_empties_the_others(three: Three) -> None:
    assert three.ask("redis-0", "set", "k", "kept") == "OK"
    three.kill("redis-0")
    three.lose_volume("redis-0")
    three.start("redis-0")  # at once, while the Sentinels still name it
    heir = followed(three, "redis-0")
    three.all_ready()
    assert heir != "redis-0"
    assert [three.ask(f"redis-{n}", "get", "k") for n in (0, 1, 2)] == ["kept"] * 3


def test_all_pods_killed_at_once_come_back_with_what_was_written(three: Three) -> None:
    three.kill("redis-0")
    heir = followed(three, "redis-0")
    three.start("redis-0")
    three.all_ready()
    assert three.ask(heir, "set", "k", "kept") == "OK"
    until(lambda: three.ask("redis-0", "get", "k") == "kept", "replicas have it")
    for pod in PODS:
        three.kill(pod)
    for n in (0, 1, 2):  # new pods: a Sentinel's memory goes with its pod
        (three.folder / f"sentinel-{n}" / "run" / "sentinel.conf").unlink()
    for pod in PODS:
        three.start(pod)
    three.all_ready()
    assert three.primary() == heir
    assert three.ask(heir, "get", "k") == "kept"


def test_a_primary_that_nobody_follows_takes_no_writes(three: Three) -> None:
    three.kill("redis-1")
    assert three.ask("redis-0", "set", "k", "1") == "OK"
    three.kill("redis-2")
    until(lambda: "NOREPLICAS" in three.ask("redis-0", "set", "k", "2"), "writes are refused", 30)
    assert not any("sentinel" in pod for pod in three.ready())
    three.start("redis-2")
    until(lambda: three.ask("redis-0", "set", "k", "3") == "OK", "writes are taken again", 30)
