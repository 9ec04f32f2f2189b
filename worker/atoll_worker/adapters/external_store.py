"""A Redis that somebody else runs, as one virtual cluster among others uses it.

What we remember there (`<base>` is `ATOLL:<installation>:<member>`):
`ATOLL:<installation>` the virtual clusters that have something there, a set; `<base>:KEYS` the storage
namespaces that were given to its Ray heads, a set; `<base>:USERS` user -> password hash and storage
namespaces, a hash; `<base>:ORPHANS` as in a Redis of our own. Nothing but what is named there is ever
removed.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from atoll.domain.gcs_store import StoreFigures, StoreUser, figures_of, key_owner, parse_acl
from atoll.errors import PermanentError, TemporaryError
from atoll_worker.adapters.redis_connection import Login, connected
from atoll_worker.reconcile.ports import External, Instance, KnownUsers

_BATCH = 500
_PROBED = ("RAYatoll-asks@KV", "ATOLL:asks", "DUMMY")
"""A key of each kind: of a Ray head, of our notes, and the one by which Ray asks whether it may write."""


class ExternalRedisStore:
    """Port ExternalStore."""

    def __init__(self, external: External) -> None:
        self._external = external
        self._instance = Instance(f"at {external.address}", external.host, external.port)
        self._login = Login(
            external.password, external.username, external.authority,
            f"Secret {external.secret}", "admin",
        )  # fmt: skip
        self._registry = f"ATOLL:{external.installation}"

    def _base(self, part: str, member: str = "") -> str:
        return f"{self._registry}:{member or self._external.member}:{part}"

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[Any]:
        # Any: the client's methods are typed for its synchronous twin as well.
        async with connected(self._instance, self._login) as client:
            yield client

    async def check(self) -> None:
        """Raises when it cannot keep the state of Ray heads; says what must be changed there."""
        async with self._open() as client:
            if problem := _unfit(await client.info("everything")):
                reason, words = problem
                raise PermanentError(
                    f"Redis {self._instance.name} {words}", reason=reason, who="admin"
                )
            if refused := await _forbidden_key(client):
                needs = "all keys" if self._external.each else "the keys ~RAY* ~ATOLL:* ~DUMMY"
                raise PermanentError(
                    f"Redis {self._instance.name} does not let the user of Secret {self._external.secret} "
                    f"read and write {refused}. Allow it {needs}.",
                    reason="RedisKeysForbidden",
                    who="admin",
                )
            if self._external.each and (refused := await _may_not_manage_users(client)):
                raise PermanentError(
                    f"Redis {self._instance.name} does not let the user of Secret {self._external.secret} "
                    f"manage users: {refused}. Allow it +acl, or set redis.external.users of the profile "
                    "to one.",
                    reason="RedisUsersForbidden",
                    who="admin",
                )

    async def figures(self) -> dict[str, StoreFigures | None]:
        """Of the one address that is known."""
        found: StoreFigures | None = None
        with suppress(TemporaryError):
            async with self._open() as client:
                found = figures_of(await client.info("everything"))
        return {"external": found}

    async def users(self) -> list[KnownUsers]:
        """The users of this virtual cluster: as Redis tells them, or as we noted them."""
        async with self._open() as client:
            noted = await client.hgetall(self._base("USERS"))
            if not self._external.each:
                return [KnownUsers(False, {name: _noted(name, t) for name, t in noted.items()})]
            lines = [str(line) for line in await client.acl_list()]
        ours = (x for x in lines if x.split()[1].startswith(self._external.user_prefix))
        return [KnownUsers(False, {line.split()[1]: parse_acl(line) for line in ours})]

    async def put_users(self, users: Sequence[StoreUser], gone: Sequence[str]) -> None:
        """Note whose the keys will be before anybody can write them, then make the users so."""
        async with self._open() as client:
            await client.sadd(self._registry, self._external.member)
            for user in users:
                if user.storage_namespaces:
                    await client.sadd(self._base("KEYS"), *sorted(user.storage_namespaces))
                await client.hset(self._base("USERS"), user.name, _note(user))
                if self._external.each:
                    await client.execute_command("ACL", "SETUSER", user.name, *user.rules)
            if gone:
                if self._external.each:
                    await client.acl_deluser(*gone)
                await client.hdel(self._base("USERS"), *gone)
                await self._forget_empty(client)
            if self._external.each:
                await _save_users(client)

    async def _forget_empty(self, client: Any) -> None:
        """Storage namespaces that have neither a user nor a key are nobody's any more."""
        noted = (await client.hgetall(self._base("USERS"))).items()
        used = {one for name, text in noted for one in _noted(name, text).storage_namespaces}
        known = await client.smembers(self._base("KEYS"))
        empty = known - used - {owner for _, owner in await _keys(client, known - used)}
        if empty:
            await client.srem(self._base("KEYS"), *empty)

    async def key_owners(self) -> frozenset[str]:
        """Every storage namespace of this virtual cluster that has keys."""
        async with self._open() as client:
            ours = await client.smembers(self._base("KEYS"))
            return frozenset(owner for _, owner in await _keys(client, ours))

    async def orphans(self) -> dict[str, float]:
        """Storage namespaces marked as without a RayCluster, and since when (Unix seconds)."""
        async with self._open() as client:
            found = await client.hgetall(self._base("ORPHANS"))
        return {str(name): float(since) for name, since in found.items()}

    async def mark_orphans(self, marked: dict[str, float], found_again: Sequence[str]) -> None:
        """Remember some and forget others."""
        async with self._open() as client:
            if marked:
                await client.hset(
                    self._base("ORPHANS"), mapping={k: str(v) for k, v in marked.items()}
                )
            if found_again:
                await client.hdel(self._base("ORPHANS"), *found_again)

    async def drop_keys(self, storage_namespaces: Sequence[str]) -> int:
        """Remove keys of storage namespaces that are this virtual cluster's; how many there were."""
        async with self._open() as client:
            ours = await client.smembers(self._base("KEYS"))
            removed = await _drop(client, ours & set(storage_namespaces))
            await client.srem(self._base("KEYS"), *storage_namespaces)
            await client.hdel(self._base("ORPHANS"), *storage_namespaces)
        return removed

    async def members(self) -> frozenset[str]:
        """The virtual clusters of this installation that have something there."""
        async with self._open() as client:
            return frozenset(await client.smembers(self._registry))

    async def forget(self, member: str) -> None:
        """Users first, so that nobody writes what is then removed; the registry last."""
        async with self._open() as client:
            users = await client.hkeys(self._base("USERS", member))
            if users and self._external.each:
                await client.acl_deluser(*users)
                await _save_users(client)
            await _drop(client, await client.smembers(self._base("KEYS", member)))
            await client.unlink(*(self._base(p, member) for p in ("USERS", "KEYS", "ORPHANS")))
            await client.srem(self._registry, member)


def _unfit(info: dict[str, Any]) -> tuple[str, str] | None:
    """Why a Redis that says this of itself cannot keep what Ray heads tell it: reason and words."""
    if info.get("role") != "master":
        return "RedisReadOnly", (
            "is a replica and takes no writes. Give the profile the address of the primary."
        )
    if info.get("cluster_enabled"):
        return "RedisReadOnly", (
            "is in cluster mode, which spreads keys over several addresses. Use one that is not."
        )
    policy = info.get("maxmemory_policy")
    if policy != "noeviction":
        return "RedisMayEvict", (
            f"drops keys when it is full (maxmemory-policy {policy}), and so the state of Ray heads. Set "
            "maxmemory-policy to noeviction."
        )
    return None


async def _forbidden_key(client: "Redis") -> str | None:
    """The first key of those that Ray and we use which Redis keeps from us, and what it says. Nothing is
    changed to find out: a field that is not there is counted and removed.
    """
    for key in _PROBED:
        try:
            await client.hlen(key)
            await client.hdel(key, "atoll-asks")
        except NoPermissionError as error:
            return f"{key} ({error})"
        except ResponseError:
            continue  # let through, and of another type
    return None


async def _may_not_manage_users(client: "Redis") -> str | None:
    """What Redis says against it; None when it lets us. Nothing is changed to find out."""
    try:
        await client.acl_list()
        me = await client.acl_whoami()
        told = await client.execute_command("ACL", "DRYRUN", me, "ACL", "SETUSER", "x")  # type: ignore[no-untyped-call]
    except NoPermissionError as error:
        return str(error)
    except AuthenticationError:
        raise
    except ResponseError as error:
        # Redis 6 has ACL and no DRYRUN.
        return None if "DRYRUN" in str(error).upper() else str(error)
    return None if told in ("OK", b"OK", True) else str(told)


async def _save_users(client: "Redis") -> None:
    """Into its ACL file, where it has one; without, the next look finds users that a restart lost."""
    with suppress(ResponseError):
        await client.acl_save()


async def _keys(client: "Redis", owners: Iterable[str]) -> list[tuple[str, str]]:
    """Keys of these storage namespaces, each with its owner."""
    wanted = frozenset(owners)
    if not wanted:
        return []
    keys = [str(key) async for key in client.scan_iter(match="RAY*@*", count=_BATCH)]
    found = ((key, key_owner(key)) for key in keys)
    return [(key, owner) for key, owner in found if owner is not None and owner in wanted]


async def _drop(client: "Redis", owners: Iterable[str]) -> int:
    keys = [key for key, _ in await _keys(client, owners)]
    for start in range(0, len(keys), _BATCH):
        await client.unlink(*keys[start : start + _BATCH])
    return len(keys)


def _note(user: StoreUser) -> str:
    return " ".join((user.password_hash, *sorted(user.storage_namespaces)))


def _noted(name: str, text: str) -> StoreUser:
    first, *owners = text.split()
    return StoreUser(name, first, frozenset(owners))
