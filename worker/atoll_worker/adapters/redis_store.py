"""The Redis of a virtual cluster, by the Redis protocol."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import structlog
from redis.asyncio import Redis

from atoll.domain.gcs_store import (
    StoreFigures,
    StoreUser,
    figures_of,
    key_owner,
    parse_acl,
    password_hash,
)
from atoll.errors import TemporaryError
from atoll_worker.adapters.external_store import ExternalRedisStore
from atoll_worker.adapters.redis_connection import Login, connected
from atoll_worker.reconcile.ports import Administrator, External, Instance, KnownUsers

log = structlog.get_logger()
_ORPHANS = "ATOLL:ORPHANS"
"""Storage namespaces without a RayCluster -> Unix time of when we first saw them so."""
_BATCH = 500
_MONITORED = "gcs"
"""What helm/tenant's Sentinels call the primary they watch."""


async def _speaks(client: "Redis", instance: Instance) -> str | None:
    """Hash of the password it uses itself. A Sentinel tells only the one towards other Sentinels, which
    `RedisStore.speak` sets last.
    """
    if instance.sentinel:
        send: Any = client.execute_command
        told = await send("SENTINEL", "CONFIG", "GET", "sentinel-pass")
        used = dict(zip(told[::2], told[1::2], strict=True)) if isinstance(told, list) else told
        password = used.get("sentinel-pass")
    else:
        password = (await client.config_get("masterauth")).get("masterauth")
    return password_hash(str(password)) if password else None


async def _speak(client: "Redis", instance: Instance, password: str) -> None:
    if not instance.sentinel:
        await client.config_set("masterauth", password)
        return
    send: Any = client.execute_command
    await send("SENTINEL", "SET", _MONITORED, "auth-pass", password)
    await send("SENTINEL", "CONFIG", "SET", "sentinel-pass", password)


class RedisStore:
    """Port AdminStore: speaks to every instance with the administrator's password."""

    def __init__(self, instances: Sequence[Instance], password: str) -> None:
        self._instances, self._login = tuple(instances), Login(password)

    @asynccontextmanager
    async def _open(self, instance: Instance) -> AsyncIterator[Redis]:
        async with connected(instance, self._login) as client:
            yield client

    @contextmanager
    def _one_may_be_silent(self, instance: Instance) -> Iterator[None]:
        """Among several, one that does not answer is passed over: it reads the file when it starts, and
        is looked at again.
        """
        try:
            yield
        except TemporaryError as error:
            if error.reason != "RedisUnreachable" or len(self._instances) == 1:
                raise
            log.warning("redis.silent", pod=instance.name, detail=error.detail)

    @asynccontextmanager
    async def _primary(self) -> AsyncIterator[Redis]:
        for instance in self._instances:
            if instance.sentinel or not await self._leads(instance):
                continue
            async with self._open(instance) as client:
                yield client
                return
        raise TemporaryError("No Redis pod is the primary", reason="RedisUnreachable")

    async def _leads(self, instance: Instance) -> bool:
        """Whether it is a primary that others follow, or the only one there is."""
        leads = False
        with self._one_may_be_silent(instance):
            async with self._open(instance) as client:
                role = await client.role()
                leads = role[0] == "master" and (len(self._instances) == 1 or bool(role[2]))
        return leads

    async def administrators(self) -> list[Administrator]:
        """Whom every instance takes for the administrator, and as whom it speaks itself."""
        return [await self._administrator(instance) for instance in self._instances]

    async def _administrator(self, instance: Instance) -> Administrator:
        found = Administrator(instance.name, frozenset(), None, silent=True)
        with self._one_may_be_silent(instance):
            async with self._open(instance) as client:
                lines = [str(line).split() for line in await client.acl_list()]
                (default,) = (words for words in lines if words[1] == "default")
                hashes = frozenset(word[1:] for word in default if word.startswith("#"))
                found = Administrator(instance.name, hashes, await _speaks(client, instance))
        return found

    async def admit(self, passwords: Sequence[str]) -> None:
        """Open connections stay."""
        rules = ("resetpass", *(f"#{password_hash(password)}" for password in passwords))
        for instance in self._instances:
            with self._one_may_be_silent(instance):
                async with self._open(instance) as client:
                    send: Any = client.execute_command
                    await send("ACL", "SETUSER", "default", *rules)

    async def speak(self, password: str) -> None:
        """Replicas to their primary, Sentinels to Redis and to one another."""
        for instance in self._instances:
            with self._one_may_be_silent(instance):
                async with self._open(instance) as client:
                    await _speak(client, instance, password)

    async def users(self) -> list[KnownUsers]:
        """The users that each instance knows, but for the administrator."""
        found = []
        for instance in self._instances:
            with self._one_may_be_silent(instance):
                async with self._open(instance) as client:
                    lines = [str(line) for line in await client.acl_list()]
                known = {x.split()[1]: parse_acl(x, sentinel=instance.sentinel) for x in lines}
                known.pop("default", None)
                found.append(KnownUsers(instance.sentinel, known))
        return found

    async def put_users(self, users: Sequence[StoreUser], gone: Sequence[str]) -> None:
        """Make users so, and end others with their connections, on every instance."""
        for instance in self._instances:
            with self._one_may_be_silent(instance):
                async with self._open(instance) as client:
                    send: Any = client.execute_command
                    for user in users:
                        rules = user.sentinel_rules if instance.sentinel else user.rules
                        await send("ACL", "SETUSER", user.name, *rules)
                    if gone:
                        await client.acl_deluser(*gone)

    async def figures(self) -> dict[str, StoreFigures | None]:
        """Pod -> what it says of itself; None for one that does not answer. Sentinels are left out."""
        found: dict[str, StoreFigures | None] = {}
        for instance in self._instances:
            if instance.sentinel:
                continue
            found[instance.name] = None
            with suppress(TemporaryError):
                async with self._open(instance) as client:
                    found[instance.name] = figures_of(await client.info("everything"))
        return found

    async def key_owners(self) -> frozenset[str]:
        """Every storage namespace that has keys."""
        async with self._primary() as client:
            keys = [key async for key in client.scan_iter(match="RAY*@*", count=_BATCH)]
        return frozenset(owner for key in keys if (owner := key_owner(key)) is not None)

    async def orphans(self) -> dict[str, float]:
        """Storage namespaces marked as without a RayCluster, and since when (Unix seconds)."""
        async with self._primary() as client:
            found = await client.hgetall(_ORPHANS)
        return {str(name): float(since) for name, since in found.items()}

    async def mark_orphans(self, marked: dict[str, float], found_again: Sequence[str]) -> None:
        """Remember some and forget others."""
        async with self._primary() as client:
            if marked:
                await client.hset(_ORPHANS, mapping={k: str(v) for k, v in marked.items()})
            if found_again:
                await client.hdel(_ORPHANS, *found_again)

    async def drop_keys(self, storage_namespaces: Sequence[str]) -> int:
        """Remove the keys of storage namespaces and forget them; how many keys there were."""
        gone, removed = set(storage_namespaces), 0
        async with self._primary() as client:
            async for key in client.scan_iter(match="RAY*@*", count=_BATCH):
                if key_owner(key) in gone:
                    removed += await client.unlink(key)
            await client.hdel(_ORPHANS, *gone)
        return removed


class RedisStores:
    """Port Stores."""

    def own(self, instances: Sequence[Instance], password: str) -> RedisStore:
        """The Redis of a virtual cluster."""
        return RedisStore(instances, password)

    def external(self, external: External) -> ExternalRedisStore:
        """Somebody else's."""
        return ExternalRedisStore(external)
