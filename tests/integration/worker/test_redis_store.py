"""The users and keys of Ray heads, in a real Redis."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from atoll.domain.gcs_store import StoreUser, password_hash
from atoll.errors import TemporaryError
from atoll_worker.adapters.redis_store import RedisStore
from atoll_worker.reconcile.ports import Instance, KnownUsers
from charts.rendering import render
from charts.three_redis import PASSWORD, PODS, Three

ADMIN = "the-administrators"
ONE = StoreUser("ray/raycluster-one-redis", password_hash("one"), frozenset({"u1"}))
TWO = StoreUser("ray/raycluster-two-redis", password_hash("two"), frozenset({"u2"}))


@pytest.fixture
async def instance(redis_url: str) -> Instance:
    where = urlsplit(redis_url)
    assert where.hostname
    assert where.port
    async with Redis(host=where.hostname, port=where.port) as client:
        await client.config_set("requirepass", ADMIN)
    return Instance("redis-0", where.hostname, where.port)


def as_user(instance: Instance, user: StoreUser, password: str) -> "Redis":
    return Redis(
        host=instance.host, port=instance.port, username=user.name, password=password,
        decode_responses=True,
    )  # fmt: skip


async def test_a_user_works_with_its_keys_and_no_others(instance: Instance) -> None:
    store = RedisStore([instance], ADMIN)
    await store.put_users([ONE, TWO], [])
    assert await store.users() == [KnownUsers(False, {ONE.name: ONE, TWO.name: TWO})]
    async with as_user(instance, ONE, "one") as client:
        assert await client.hset("RAYu1@KV", "a", "1") == 1
        await client.delete("DUMMY")
        for forbidden in (
            client.hget("RAYu2@KV", "a"),
            client.delete("RAYu2@KV"),
            client.flushall(),
            client.acl_list(),
            client.config_get("*"),
            client.keys("*"),
        ):
            with pytest.raises(NoPermissionError):
                await forbidden


async def test_putting_again_changes_nothing_and_a_removed_user_is_cut_off(
    instance: Instance,
) -> None:
    store = RedisStore([instance], ADMIN)
    await store.put_users([ONE], [])
    async with as_user(instance, ONE, "one") as client:
        await client.hset("RAYu1@KV", "a", "1")
        await store.put_users([ONE], [])
        assert await client.hget("RAYu1@KV", "a") == "1"
        await store.put_users([], [ONE.name])
        assert await store.users() == [KnownUsers(False, {})]
        with pytest.raises(Exception, match=r"WRONGPASS|closed|invalid"):
            await client.hget("RAYu1@KV", "a")


async def test_keys_of_one_owner_go_and_all_others_stay(instance: Instance) -> None:
    store = RedisStore([instance], ADMIN)
    async with Redis(host=instance.host, port=instance.port, password=ADMIN) as client:
        for number in range(1200):
            await client.hset(f"RAYu1@T{number}", "a", "1")
        await client.hset("RAYu2@KV", "a", "1")
        await client.set("RAYu1", "not Ray's")
        assert await store.key_owners() == {"u1", "u2"}
        await store.mark_orphans({"u1": 12.5, "u3": 1.0}, [])
        await store.mark_orphans({}, ["u3"])
        assert await store.orphans() == {"u1": 12.5}
        assert await store.drop_keys(["u1"]) == 1200
        assert await store.key_owners() == {"u2"}
        assert await store.orphans() == {}
        assert await client.get("RAYu1") == b"not Ray's"


async def test_trouble_names_its_cause(instance: Instance) -> None:
    with pytest.raises(TemporaryError) as refused:
        await RedisStore([instance], "wrong").users()
    assert refused.value.reason == "RedisRefused"
    assert "wrong" not in refused.value.detail.replace("wrong number", "")
    with pytest.raises(TemporaryError) as silent:
        await RedisStore([Instance("redis-0", "127.0.0.1", 1)], ADMIN).users()
    assert silent.value.reason == "RedisUnreachable"


async def test_three_pods_and_their_sentinels_know_every_user_and_one_may_be_silent(
    tmp_path: Path,
) -> None:
    three = Three(render("tenant", "three"), tmp_path)
    try:
        for pod in PODS:
            three.start(pod)
        three.all_ready()
        instances = three.instances()
        store = RedisStore(instances, PASSWORD)
        await store.put_users([ONE], [])
        assert [known.right(ONE) for known in await store.users()] == [True] * 6
        assert three.ask("redis-0", "hset", "RAYu1@KV", "a", "1") == "1"
        three.kill("redis-1")
        three.kill("sentinel-2")
        assert [known.right(ONE) for known in await store.users()] == [True] * 4
        assert await store.drop_keys(["u1"]) == 1
        await store.put_users([], [ONE.name])
        assert [known.users for known in await store.users()] == [{}] * 4
    finally:
        three.stop()
