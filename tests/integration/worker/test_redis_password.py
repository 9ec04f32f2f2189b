"""A new administrator's password in real processes: one Redis, and three with their Sentinels."""

import base64
from pathlib import Path

import pytest

from atoll.domain.gcs_store import password_hash
from atoll.errors import TemporaryError
from atoll_worker.adapters.redis_store import RedisStore
from atoll_worker.reconcile.outcome import AdmitPasswords, SpeakPassword
from atoll_worker.reconcile.ports import Instance
from atoll_worker.reconcile.steps.redis_password import (
    OVERLAP_SECONDS,
    Passwords,
    Seen,
    next_change,
)
from builders.redis_server import ADMIN, redis_server
from charts.rendering import render
from charts.three_redis import PASSWORD, PODS, Three
from waiting import until


async def rotate(instances: list[Instance], said: Passwords, now: float) -> list[Passwords]:
    """Carry out every piece; the states that the Secret went through."""
    states = [said]
    while True:
        store = RedisStore(instances, states[-1].current)
        processes = tuple(await store.administrators())
        change = next_change(Seen(states[-1], processes, now), 1)
        match change:
            case None:
                return states
            case AdmitPasswords(passwords):
                await store.admit(passwords)
            case SpeakPassword(password):
                await store.speak(password)
            case Passwords():
                states.append(change)


async def test_one_redis_takes_both_and_then_the_new_one_and_no_connection_ends(
    tmp_path: Path,
) -> None:
    with redis_server(tmp_path) as server, server.client() as open_before:
        instances = [Instance("redis-0", "127.0.0.1", server.port)]
        assert open_before.set("still", "to be asked")
        connection = open_before.client_id()
        states = await rotate(instances, Passwords(ADMIN), 1000.0)
        fresh = states[-1].current
        for password in (ADMIN, fresh):
            with server.client(password=password) as client:
                assert client.ping()
        await rotate(instances, states[-1], 1000.0 + OVERLAP_SECONDS + 1)
        with pytest.raises(TemporaryError) as refused:
            await RedisStore(instances, ADMIN).users()
        assert refused.value.reason == "RedisRefused"
        assert open_before.set("still", "here")
        assert open_before.client_id() == connection
        (admin,) = await RedisStore(instances, fresh).administrators()
        assert admin.hashes == {password_hash(fresh)}


async def test_three_redis_keep_their_state_and_fail_over_with_the_new_password(
    tmp_path: Path,
) -> None:
    three = Three(render("tenant", "three"), tmp_path)
    try:
        for pod in PODS:
            three.start(pod)
        three.all_ready()
        assert three.ask("redis-0", "set", "k", "kept") == "OK"
        started = {pod: process.pid for pod, process in three.running.items()}
        instances = three.instances()
        states = await rotate(instances, Passwords(PASSWORD), 1000.0)
        states += await rotate(instances, states[-1], 1000.0 + OVERLAP_SECONDS + 1)
        assert {pod: process.pid for pod, process in three.running.items()} == started
        see(three, states[-1])
        three.all_ready()
        assert three.primary() == "redis-0"
        three.kill("redis-0")
        until(lambda: three.primary() not in ("", "redis-0"), "another is the primary", 90)
        heir = three.primary()
        assert three.ask(heir, "get", "k") == "kept"
        three.start("redis-0")
        three.all_ready(90)
        assert three.ask("redis-0", "get", "k") == "kept"
    finally:
        three.stop()


def see(three: Three, said: Passwords) -> None:
    """What the kubelet does some time after the Secret has changed."""
    data = said.secret("vc-lab", {})["data"]
    three.secret = {key: base64.b64decode(value).decode() for key, value in data.items()}
    for pod in PODS:
        three.mount(pod, three.secret)
