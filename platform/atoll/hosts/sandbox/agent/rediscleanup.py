"""Removes a deleted RayCluster's keys from Redis, as KubeRay's clean-up job does."""

from __future__ import annotations

import base64

from redis.asyncio import Redis
from redis.exceptions import RedisError

from atoll.hosts.sandbox.agent.endpoints import resolve
from atoll.hosts.sandbox.agent.raypods import storage_namespace
from atoll.hosts.sandbox.agent.world import Site
from atoll.hosts.sandbox.kube import SECRET, Obj


class CleanupError(Exception):
    """The keys could not be removed."""


async def clean(site: Site, cluster: Obj) -> int:
    """Delete the keys `RAY<namespace>@*`; how many there were. Raises CleanupError."""
    options = cluster["spec"].get("gcsFaultToleranceOptions") or {}
    namespace = cluster["metadata"]["namespace"]
    first = str(options.get("redisAddress", "")).split(",")[0].rpartition("://")[2]
    host, _, port = first.partition(":")
    local = resolve(site, namespace, host, int(port or 6379))
    if local is None:
        raise CleanupError(f"{first} answers nothing")
    address, _, number = local.partition(":")
    client = Redis(
        host=address,
        port=int(number),
        username=await _value(site, namespace, options.get("redisUsername")),
        password=await _value(site, namespace, options.get("redisPassword")),
        decode_responses=False,
    )
    removed = 0
    try:
        async for key in client.scan_iter(match=f"RAY{storage_namespace(cluster)}@*", count=500):
            removed += await client.unlink(key)
    except RedisError as problem:
        raise CleanupError(str(problem)) from problem
    finally:
        await client.aclose()
    return removed


async def _value(site: Site, namespace: str, source: Obj | None) -> str | None:
    if not source:
        return None
    if "value" in source:
        return str(source["value"])
    reference = source["valueFrom"]["secretKeyRef"]
    secret = await site.kube.get(SECRET, namespace, reference["name"])
    if secret is None or reference["key"] not in (secret.get("data") or {}):
        raise CleanupError(f"Secret {reference['name']} with the password is gone")
    return base64.b64decode(secret["data"][reference["key"]]).decode()
