"""A Redis that somebody else runs: what is wrong with it is told, and others' keys stay theirs."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from redis.exceptions import NoPermissionError

from atoll.domain.gcs_store import StoreUser, password_hash
from atoll.errors import PermanentError, TemporaryError
from atoll_worker.adapters.external_store import ExternalRedisStore
from atoll_worker.reconcile.ports import External, KnownUsers
from builders.redis_server import ADMIN, Server, certificate, redis_server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with redis_server(tmp_path) as running:
        yield running


def access(server: Server, member: str = "lab.u-lab", **more: object) -> External:
    found = External(
        f"127.0.0.1:{server.port}", "127.0.0.1", server.port, ADMIN, None, server.authority,
        "atoll-system/theirs", each=True, installation="here", member=member,
    )  # fmt: skip
    return replace(found, **more)  # type: ignore[arg-type]


def user(external: External, owner: str, password: str = "pw") -> StoreUser:
    name = f"{external.user_prefix}ray/raycluster-{owner}-redis"
    return StoreUser(name, password_hash(password), frozenset({owner}))


async def refused(external: External) -> TemporaryError | PermanentError:
    with pytest.raises((TemporaryError, PermanentError)) as error:
        await ExternalRedisStore(external).check()
    assert error.value.who == "admin"
    assert external.address in error.value.detail
    assert external.password not in error.value.detail
    return error.value


async def test_a_redis_that_will_do_is_taken_and_nothing_is_changed_by_asking(
    server: Server,
) -> None:
    with server.client() as client:
        before = client.acl_list(), client.dbsize()
        await ExternalRedisStore(access(server)).check()
        assert (client.acl_list(), client.dbsize()) == before


async def test_what_is_wrong_is_told_with_address_and_secret(server: Server) -> None:
    silent = await refused(access(server, address="127.0.0.1:1", port=1))
    assert silent.reason == "RedisUnreachable"
    wrong = await refused(access(server, password="quite-another"))
    assert wrong.reason == "RedisRefused"
    assert "atoll-system/theirs" in wrong.detail
    with server.client() as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        evicting = await refused(access(server))
        assert evicting.reason == "RedisMayEvict"
        assert "allkeys-lru" in evicting.detail
        client.config_set("maxmemory-policy", "noeviction")
        client.acl_setuser(
            "limited", enabled=True, passwords=["+lim"], keys=["*"], categories=["+@all"],
            commands=["-acl"],
        )  # fmt: skip
        limited = access(server, username="limited", password="lim")
        assert (await refused(limited)).reason == "RedisUsersForbidden"
        await ExternalRedisStore(replace(limited, each=False)).check()
        client.execute_command("REPLICAOF", "127.0.0.1", "1")
        assert (await refused(access(server))).reason == "RedisReadOnly"


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ("~ATOLL:* ~DUMMY", "RAY"),
        ("~RAY* ~DUMMY", "ATOLL:"),
        ("~RAY* ~ATOLL:*", "DUMMY"),
        ("%R~RAY* ~ATOLL:* ~DUMMY", "RAY"),
    ],
)
async def test_keys_that_the_user_may_not_reach_are_named(
    server: Server, rules: str, kept: str
) -> None:
    commands = ("+@all", "-@dangerous", "+info")
    narrow = access(server, username="narrow", password="nar", each=False)
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", "narrow", "on", ">nar", *rules.split(), *commands)
        told = await refused(narrow)
        assert told.reason == "RedisKeysForbidden"
        assert f"read and write {kept}" in told.detail
        assert "Allow it the keys ~RAY* ~ATOLL:* ~DUMMY" in told.detail
        assert "atoll-system/theirs" in told.detail
        # What the guide asks for is enough.
        client.execute_command("ACL", "SETUSER", "narrow", "~RAY*", "~ATOLL:*", "~DUMMY")
        await ExternalRedisStore(narrow).check()
        assert client.dbsize() == 0


async def test_tls_is_held_to_its_authority_and_its_name(tmp_path: Path) -> None:
    authority = certificate(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    stranger = certificate(other)
    with redis_server(tmp_path, authority=authority) as server:
        await ExternalRedisStore(access(server)).check()
        assert (await refused(access(server, authority=stranger))).reason == "RedisTlsFailed"
        assert (await refused(access(server, authority="no PEM"))).reason == "RedisTlsFailed"
        assert (await refused(access(server, authority=None))).reason == "RedisUnreachable"
    misnamed = certificate(other, "DNS:elsewhere.example")
    with (
        redis_server(other, authority=misnamed) as server,
        pytest.raises(TemporaryError) as error,
    ):
        await ExternalRedisStore(access(server)).check()
    assert error.value.reason == "RedisTlsFailed"


async def test_tls_towards_a_plain_redis_is_told(server: Server, tmp_path: Path) -> None:
    plain = access(server, authority=certificate(tmp_path))
    # A plain Redis waits for the rest of what it takes for a command.
    told = await refused(plain)
    assert told.reason in ("RedisUnreachable", "RedisTlsFailed")
    assert "does it speak TLS" in told.detail or "TLS that it speaks" in told.detail


async def test_two_virtual_clusters_share_it_and_touch_only_their_own(server: Server) -> None:
    mine, theirs = access(server), access(server, member="den.u-den")
    lab, den = ExternalRedisStore(mine), ExternalRedisStore(theirs)
    one, two = user(mine, "u1"), user(theirs, "u2")
    await lab.put_users([one], [])
    await den.put_users([two], [])
    assert await lab.users() == [KnownUsers(False, {one.name: one})]
    with server.client(one.name, "pw") as client:
        assert client.hset("RAYu1@KV", "a", "1") == 1
        with pytest.raises(NoPermissionError):
            client.hget("RAYu2@KV", "a")
        with pytest.raises(NoPermissionError):
            client.smembers("ATOLL:here")
    with server.client() as client:
        client.hset("RAYu2@KV", "a", "1")
        client.hset("RAYsomebody@KV", "a", "1")
        client.set("app", "theirs")
    assert await lab.key_owners() == {"u1"}
    # Asked to drop what is not its own it drops nothing of that.
    assert await lab.drop_keys(["u2", "somebody"]) == 0
    assert await lab.members() == {mine.member, theirs.member}
    await lab.forget(mine.member)
    assert await lab.members() == {theirs.member}
    assert await lab.users() == [KnownUsers(False, {})]
    with server.client() as client:
        kept = set(client.scan_iter())
        assert kept == {
            "RAYu2@KV", "RAYsomebody@KV", "app", "ATOLL:here",
            "ATOLL:here:den.u-den:KEYS", "ATOLL:here:den.u-den:USERS",
        }  # fmt: skip
        assert set(client.acl_users()) == {"default", two.name}


async def test_one_can_sweep_what_another_that_is_gone_has_left(server: Server) -> None:
    gone = access(server, member="gone.u-gone")
    await ExternalRedisStore(gone).put_users([user(gone, "u9")], [])
    with server.client() as client:
        client.hset("RAYu9@KV", "a", "1")
    await ExternalRedisStore(access(server)).forget("gone.u-gone")
    with server.client() as client:
        assert client.acl_users() == ["default"]
        assert client.dbsize() == 0


async def test_without_users_of_their_own_it_is_remembered_whose_keys_are_whose(
    server: Server,
) -> None:
    shared = access(server, each=False)
    store = ExternalRedisStore(shared)
    one = user(shared, "u1", ADMIN)
    await store.put_users([one], [])
    assert await store.users() == [KnownUsers(False, {one.name: one})]
    with server.client() as client:
        assert client.acl_users() == ["default"]
        client.hset("RAYu1@KV", "a", "1")
    assert await store.key_owners() == {"u1"}
    await store.mark_orphans({"u1": 5.0}, [])
    assert await store.orphans() == {"u1": 5.0}
    assert await store.drop_keys(["u1"]) == 1
    await store.put_users([], [one.name])
    assert await store.users() == [KnownUsers(False, {})]
    assert await store.key_owners() == set()


async def test_its_figures_are_read_and_a_silent_one_has_none(server: Server) -> None:
    (told,) = (await ExternalRedisStore(access(server)).figures()).values()
    assert told
    assert told.primary
    assert told.memory > 0
    assert not told.kept
    assert await ExternalRedisStore(access(server, port=1)).figures() == {"external": None}
