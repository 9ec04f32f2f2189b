"""The Redis of a virtual cluster, by the Redis protocol."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

from atoll.domain.gcs_store import StoreUser, key_owner, parse_acl
from atoll.errors import TemporaryError
from atoll_worker.reconcile.ports import Instance, KnownUsers

log = structlog.get_logger()
_SECONDS = 3.0
_ORPHANS = "ATOLL:ORPHANS"
"""Storage namespaces without a RayCluster -> Unix time of when we first saw them so."""
_BATCH = 500


class RedisStore:
    """Port GcsStore: speaks to every instance with the administrator's password."""

    def __init__(self, instances: Sequence[Instance], password: str) -> None:
        self._instances, self._password = tuple(instances), password

    @asynccontextmanager
    async def _open(self, instance: Instance) -> AsyncIterator[Redis]:
        """A connection; every trouble becomes a TemporaryError that names its cause."""
        client = Redis(
            host=instance.host,
            port=instance.port,
            password=self._password,
            socket_connect_timeout=_SECONDS,
            socket_timeout=_SECONDS,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
        try:
            yield client
        except (AuthenticationError, NoPermissionError) as error:
            raise TemporaryError(
                f"Redis {instance.name} refuses the password of Secret redis: {error}",
                reason="RedisRefused",
                delay=10,
            ) from error
        except (RedisError, OSError, TimeoutError) as error:
            raise TemporaryError(
                f"Redis {instance.name} does not answer: {type(error).__name__}: {error}",
                reason="RedisUnreachable",
            ) from error
        finally:
            await client.aclose()

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
