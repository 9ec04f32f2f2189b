"""Every Ray head works as a user of its own: the whole platform with real Redis and real Ray."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio
from redis.asyncio import Redis
from redis.exceptions import NoPermissionError

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import (
    POD,
    PROFILE,
    RAY_CLUSTER,
    SECRET,
    SERVICE,
    STATEFUL_SET,
    VIRTUAL_CLUSTER,
)
from atoll.errors import NotFoundError
from builders.sandbox_site import Site, inside_of, ready, until
from integration.platform.test_trouble import resource, traces, wish

pytestmark = [pytest.mark.sandbox, pytest.mark.asyncio(loop_scope="module")]
RAYS = {"name": "rays", "workers": 0, "headCpu": "500m", "headMemory": "1Gi"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host(site: Site) -> AsyncIterator[Cluster]:
    """The host with a team, and a virtual cluster `kept` on three Redis pods with one Ray cluster, the same
    for all tests.
    """
    async with site.cluster() as found:
        quota = {"cpu": {"limit": "12"}, "memory": {"limit": "24Gi"}}
        await found.apply(resource("Team", "blue", {"quota": quota}))
        spec = (await found.get(PROFILE, "default"))["spec"]
        spec["redis"] = {**spec.get("redis", {}), "replicas": 3}
        await found.apply(resource("Profile", "three", spec))
        asked = wish(profile="three", rayClusters=[RAYS])
        await found.create(resource("VirtualCluster", "kept", asked))
        await until(found, "kept", ready, 150)
        yield found
        with suppress(NotFoundError):
            await found.delete(VIRTUAL_CLUSTER, "kept")
        await until(found, "kept", lambda item: item is None, 200)
        await found.delete(PROFILE, "three")


def value(secret: Object, key: str) -> str:
    return base64.b64decode(secret["data"][key]).decode()


async def redis(host: Cluster, user: str | None, password: str) -> "Redis":
    service = await host.get(SERVICE, "redis", "vc-kept")
    ports = json.loads(service["metadata"]["annotations"]["sandbox.atoll.dev/ports"])
    where, _, port = ports["6379"].partition(":")
    return Redis(host=where, port=int(port), username=user, password=password)


async def test_the_head_keeps_its_state_under_its_own_user(host: Cluster) -> None:
    async with await inside_of(host, "kept") as tenant:
        rays = await tenant.get(RAY_CLUSTER, "rays", "ray")
        own = await tenant.get(SECRET, "raycluster-rays-redis", "ray")
        assert await tenant.find(SECRET, "redis", "ray") is None
    uid = rays["metadata"]["uid"]
    async with await redis(host, value(own, "username"), value(own, "password")) as client:
        assert await client.hlen(f"RAY{uid}@NODE") >= 1
        with pytest.raises(NoPermissionError):
            await client.hgetall("RAYanother@NODE")
    file = await host.get(SECRET, "redis-users", "vc-kept")
    assert value(own, "password") not in value(file, "users.acl")
    admin = value(await host.get(SECRET, "redis", "vc-kept"), "password")
    async with await redis(host, None, admin) as client:
        # One who flushes the users finds them again: the next look tells Redis anew.
        await client.acl_deluser(value(own, "username"))
        await host.patch(VIRTUAL_CLUSTER, "kept", {"spec": {"quota": {"cpu": "3"}}})
        await until(host, "kept", ready)
        assert value(own, "username") in await client.acl_users()


async def test_the_heads_log_comes_over_the_api(site: Site, host: Cluster) -> None:
    def printed() -> str:
        with site.client() as client:
            return "".join(client.ray_clusters.logs("kept", "rays"))

    assert "Ray runtime started." in await asyncio.to_thread(printed)


async def test_a_new_administrators_password_comes_without_a_restart(host: Cluster) -> None:
    before = value(await host.get(SECRET, "redis", "vc-kept"), "password")
    async with await redis(host, None, before) as client:
        started = (await client.info("server"))["run_id"]
    await host.patch(VIRTUAL_CLUSTER, "kept", {"spec": {"redisPasswordVersion": 1}})
    await until(host, "kept", ready)
    secret = await host.get(SECRET, "redis", "vc-kept")
    assert set(secret["data"]) == {"password", "previous"}
    assert value(secret, "previous") == before
    assert value(secret, "password") != before
    for password in (before, value(secret, "password")):
        async with await redis(host, None, password) as client:
            assert (await client.info("server"))["run_id"] == started
    vc = await host.get(VIRTUAL_CLUSTER, "kept")
    told = {c["type"]: c for c in vc["status"]["conditions"]}["RedisPasswordReady"]
    assert "the old one is taken until" in told["message"]
    assert value(secret, "password") not in str(vc)


async def test_it_goes_and_leaves_nothing_when_its_redis_is_down(host: Cluster) -> None:
    """The last one here. KubeRay holds on to a Ray cluster until its keys are gone, and nobody answers for
    them.
    """
    for name in ("redis", "redis-sentinel"):
        await host.patch(STATEFUL_SET, name, {"spec": {"replicas": 0}}, "vc-kept")
    deadline = time.monotonic() + 90
    while [
        p for p in await host.items(POD, "vc-kept") if p["metadata"]["name"].startswith("redis-")
    ]:
        assert time.monotonic() < deadline, "Redis does not go"
        await asyncio.sleep(0.2)
    async with await inside_of(host, "kept") as tenant:
        assert await tenant.find(RAY_CLUSTER, "rays", "ray")
    await host.delete(VIRTUAL_CLUSTER, "kept")
    await until(host, "kept", lambda item: item is None, 200)
    assert await traces(host, "kept") == []
