"""Who may touch what in the Redis that keeps the state of Ray heads.

Ray keeps a cluster's tables in hashes `RAY<storage namespace>@<TABLE>`; the storage namespace is the
UID of its RayCluster (KubeRay's default). Each Ray workload gets a user of its own that reaches the
keys of its own RayClusters and nothing else.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from atoll.domain.names import RAY_NAMESPACE

REDIS_ADDRESS = f"redis.{RAY_NAMESPACE}:6379"
"""The virtual cluster's Redis, as every namespace inside reaches it."""
COMMANDS = (
    "auth", "del", "exists", "hdel", "hello", "hexists", "hget", "hgetall", "hlen", "hmget", "hscan",
    "hset", "hsetnx", "incrby", "info", "ping", "scan", "unlink",
)  # fmt: skip
"""What Ray sends (seen with MONITOR on Ray 2.60: start, actors, placement groups, clean-up) and the
close kin of it that other versions send. SCAN tells names of keys, never what is in them."""
SENTINEL_COMMANDS = (
    "auth", "hello", "info", "ping", "sentinel|get-master-addr-by-name", "sentinel|masters",
)  # fmt: skip
PROBE_KEY = "DUMMY"
"""Ray deletes it to find out whether Redis takes writes (redis_context.cc)."""
OFF_LABEL = "atoll.dev/gcs-fault-tolerance"
"""A workload with this label and the value `off` does without."""
_OWNERS = ("RayJob", "RayService")
_KEY = re.compile(r"^RAY(.+)@[^@]+\Z", re.DOTALL)


@dataclass(frozen=True)
class StoreUser:
    """A user of Redis: what its password hashes to (SHA-256, hex) and whose keys it reaches."""

    name: str
    password_hash: str
    storage_namespaces: frozenset[str]

    @property
    def rules(self) -> tuple[str, ...]:
        """What follows the name in an ACL (Redis, ACL SETUSER); says all, whatever was there."""
        keys = (f"~RAY{one}@*" for one in sorted(self.storage_namespaces))
        return (
            "reset", "on", f"#{self.password_hash}", *keys, f"~{PROBE_KEY}",
            *(f"+{command}" for command in COMMANDS),
        )  # fmt: skip

    @property
    def sentinel_rules(self) -> tuple[str, ...]:
        """The same for a Sentinel: it may ask which Redis is the primary, as Ray does first."""
        return (
            "reset", "on", f"#{self.password_hash}", *(f"+{command}" for command in SENTINEL_COMMANDS),
        )  # fmt: skip


def split_address(address: str) -> tuple[str, int]:
    """Host and port of `host:port` (an IPv6 address in brackets).

    Raises ValueError that says what is wrong and what to write.
    """
    host, mark, port = address.rpartition(":")
    if not mark or not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(
            f"{address!r} is not host:port, as redis.example.org:6379; whether it speaks TLS is said by tls"
        )
    if host.startswith("[") and host.endswith("]"):
        return host[1:-1], int(port)
    if ":" in host:
        raise ValueError(f"{address!r}: write an IPv6 address in brackets, as [2001:db8::1]:6379")
    return host, int(port)


def credentials_name(kind: str, name: str) -> str:
    """The Secret inside, beside the workload, with the keys `username` and `password`."""
    return f"{kind.lower()}-{name}-redis"


def user_name(namespace: str, secret: str) -> str:
    """The user of Redis that belongs to a Secret inside."""
    return f"{namespace}/{secret}"


def credentials_of(ray_cluster: Mapping[str, Any]) -> str:
    """The Secret of a RayCluster: its own, or that of the RayJob or RayService it was made for."""
    meta = ray_cluster["metadata"]
    for owner in meta.get("ownerReferences") or []:
        if owner.get("controller") and owner.get("kind") in _OWNERS:
            return credentials_name(owner["kind"], owner["name"])
    return credentials_name("RayCluster", meta["name"])


def storage_namespace(ray_cluster: Mapping[str, Any]) -> str | None:
    """The part of its keys' names that is its own; None when it keeps nothing in Redis."""
    options = (ray_cluster.get("spec") or {}).get("gcsFaultToleranceOptions")
    if options is None or options.get("backend", "redis") != "redis":
        return None
    return str(ray_cluster["metadata"]["uid"])


def key_owner(key: str) -> str | None:
    """The storage namespace that a key belongs to; None for a key that is not Ray's."""
    found = _KEY.match(key)
    return found[1] if found else None


def fault_tolerance_options(secret: str, address: str = REDIS_ADDRESS) -> dict[str, Any]:
    """`gcsFaultToleranceOptions` with the user and password of a Secret (see `credentials_name`)."""
    return {
        "redisAddress": address,
        "redisUsername": {"valueFrom": {"secretKeyRef": {"name": secret, "key": "username"}}},
        "redisPassword": {"valueFrom": {"secretKeyRef": {"name": secret, "key": "password"}}},
    }


def password_hash(password: str) -> str:
    """As ACL rules have it after `#`. Passwords are random, so a plain SHA-256 is enough."""
    return hashlib.sha256(password.encode()).hexdigest()


@dataclass(frozen=True)
class StoreFigures:
    """What a Redis says of itself. Memory in bytes; a limit of 0 means none."""

    memory: int
    limit: int
    clients: int
    keys: int
    primary: bool
    kept: bool
    """Its file is switched on, and the last write to it went well."""


def figures_of(info: Mapping[str, Any]) -> StoreFigures:
    """Out of the answer to INFO, parsed: name -> number or text, `db0` -> mapping with `keys`."""
    databases = (value for name, value in info.items() if re.fullmatch(r"db\d+", name))
    return StoreFigures(
        memory=int(info.get("used_memory", 0)),
        limit=int(info.get("maxmemory", 0)),
        clients=int(info.get("connected_clients", 0)),
        keys=sum(int(one["keys"]) for one in databases),
        primary=info.get("role") == "master",
        kept=bool(info.get("aof_enabled")) and info.get("aof_last_write_status") == "ok",
    )


def acl_file(users: Iterable[StoreUser], *, sentinel: bool = False) -> str:
    """The users as lines of an ACL file, of Redis or of a Sentinel."""
    lines = (
        " ".join(("user", user.name, *(user.sentinel_rules if sentinel else user.rules)))
        for user in sorted(users, key=lambda user: user.name)
    )
    return "".join(f"{line}\n" for line in lines)


def parse_acl(line: str, *, sentinel: bool = False) -> StoreUser | None:
    """A user as ACL LIST tells it; None when it is not of our making.

    A Sentinel knows of no keys, so its users have no storage namespaces.

    Redis tells commands in a form of its own (`+@hash -hkeys`), which differs by version: of them only
    "everything" is noticed.
    """
    words = line.split()
    name, rules = words[1], words[2:]
    hashes = [word[1:] for word in rules if word.startswith("#")]
    keys = {word[1:] for word in rules if word.startswith("~")}
    owners = {key[3:-2] for key in keys if key.startswith("RAY") and key.endswith("@*")}
    exact = set[str]() if sentinel else {f"RAY{one}@*" for one in owners} | {PROBE_KEY}
    foreign = {word for word in rules if word[0] in "&%" or word in ("+@all", "nopass", "off")}
    if foreign or len(hashes) != 1 or keys != exact or "-@all" not in rules:
        return None
    return StoreUser(name, hashes[0], frozenset(owners))
