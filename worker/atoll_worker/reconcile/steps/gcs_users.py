"""Every Ray workload has a user of its own in Redis; keys that nobody owns are swept away."""

import base64
import secrets
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from atoll.cluster.client import InitializingError, Object
from atoll.cluster.kinds import RAY_CLUSTER, SECRET
from atoll.domain.gcs_store import (
    StoreUser,
    acl_file,
    credentials_of,
    password_hash,
    storage_namespace,
    user_name,
)
from atoll.domain.names import LABEL_STEP
from atoll.errors import NotFoundError
from atoll_worker.reconcile.outcome import (
    Change,
    Done,
    DropKeys,
    MarkOrphans,
    Outcome,
    Put,
    PutStoreUsers,
    Remove,
    Wait,
)
from atoll_worker.reconcile.ports import KnownUsers
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step

GRACE_SECONDS = 600.0
"""How long keys without a RayCluster are kept: a store put back from a backup may lag."""
FILE_SECRET = "redis-users"  # noqa: S105 (a name)
"""On the host: the users as an ACL file with hashed passwords; Redis reads it when it starts."""

Place = tuple[str, str]
"""Namespace and name inside."""


@dataclass(frozen=True)
class Seen:
    """What is wanted, and what is so: inside, on the host, in every Redis process."""

    served: bool
    owners: dict[Place, frozenset[str]] = field(default_factory=dict)
    """Secret -> the storage namespaces of the RayClusters that go by it."""
    credentials: dict[Place, str] = field(default_factory=dict)
    """Secret -> password, for those that are there."""
    stored: dict[str, str] = field(default_factory=dict)
    """The files of the host's Secret, by name."""
    live: tuple[KnownUsers, ...] = ()
    with_keys: frozenset[str] = frozenset()
    orphans: dict[str, float] = field(default_factory=dict)


class GcsUsers(Step):
    """A head waits for its Secret, so the Secret comes last, when its user is in every process."""

    name, title, condition = "gcs-users", "Give every Ray head its own keys", "GcsUsersReady"
    needs = ("RedisReady", "AccessReady")
    after = ("OperatorReady", "RayClustersReady")

    async def observe(self, scope: Scope) -> Seen:
        inside = await scope.inside()
        store = await scope.gcs_store()
        # Keys before clusters: a cluster made in between is then known, its keys are not.
        with_keys, orphans = await store.key_owners(), await store.orphans()
        try:
            clusters = await inside.items(RAY_CLUSTER)
        except (NotFoundError, InitializingError):
            return Seen(False)
        found = await inside.items(SECRET, labels={LABEL_STEP: self.name})
        file = await scope.host.find(SECRET, FILE_SECRET, scope.namespace)
        return Seen(
            served=True,
            owners=_owners(clusters),
            credentials={_place(secret): _value(secret, "password") for secret in found},
            stored={key: _value(file, key) for key in file.get("data") or {}} if file else {},
            live=tuple(await store.users()),
            with_keys=with_keys,
            orphans=orphans,
        )

    def plan(self, scope: Scope, seen: Seen) -> list[Change]:
        if not seen.served:
            return []
        passwords = {
            place: seen.credentials.get(place) or secrets.token_urlsafe(32) for place in seen.owners
        }
        users = tuple(_users(seen.owners, passwords))
        changes: list[Change] = [
            Remove(SECRET, name, namespace, inside=True)
            for namespace, name in seen.credentials.keys() - seen.owners.keys()
        ]
        files = {"users.acl": acl_file(users), "sentinel.acl": acl_file(users, sentinel=True)}
        if files != seen.stored:
            labels = scope.labels(self.name)
            changes.append(Put(_secret((scope.namespace, FILE_SECRET), files, labels)))
        changes += _live_changes(users, seen.live, anew=files != seen.stored)
        changes += [
            Put(_credentials(place, password, scope.labels(self.name)), inside=True)
            for place, password in passwords.items()
            if place not in seen.credentials
        ]
        return changes + _sweep(seen, time.time())

    def judge(self, scope: Scope, seen: Seen) -> Outcome:
        if not seen.served:
            return Wait("WaitingForOperator", "Ray clusters are not served yet")
        if seen.owners.keys() - seen.credentials.keys():
            return Wait("Writing", "Users of Redis are being written")
        count = len(seen.owners)
        return Done(f"{count} Ray workload{'' if count == 1 else 's'}, each with keys of its own")


def _owners(clusters: list[Object]) -> dict[Place, frozenset[str]]:
    found: dict[Place, set[str]] = defaultdict(set)
    for cluster in clusters:
        owner = storage_namespace(cluster)
        if owner is not None:
            found[cluster["metadata"]["namespace"], credentials_of(cluster)].add(owner)
    return {place: frozenset(owners) for place, owners in found.items()}


def _users(owners: dict[Place, frozenset[str]], passwords: dict[Place, str]) -> list[StoreUser]:
    return [
        StoreUser(user_name(*place), password_hash(passwords[place]), mine)
        for place, mine in owners.items()
    ]


def _live_changes(
    users: tuple[StoreUser, ...], live: tuple[KnownUsers, ...], *, anew: bool
) -> list[Change]:
    """What some process does not know, knows otherwise, or should know no more.

    All users are told `anew` with the file: a newer Atoll may allow other commands, which Redis does not
    tell in a form to compare.
    """
    names = {user.name for user in users}
    wrong = tuple(u for u in users if anew or not all(known.right(u) for known in live))
    gone = tuple(sorted({name for known in live for name in known.users} - names))
    return [PutStoreUsers(wrong, gone)] if wrong or gone else []


def _sweep(seen: Seen, now: float) -> list[Change]:
    """Mark keys without a RayCluster; remove those marked long ago; never those of a living one."""
    living = {owner for owners in seen.owners.values() for owner in owners}
    lost = seen.with_keys - living
    fresh = dict.fromkeys(sorted(lost - seen.orphans.keys()), now)
    found_again = tuple(sorted(seen.orphans.keys() - lost))
    overdue = tuple(
        sorted(o for o in lost & seen.orphans.keys() if now - seen.orphans[o] > GRACE_SECONDS)
    )
    changes: list[Change] = [MarkOrphans(fresh, found_again)] if fresh or found_again else []
    return [*changes, DropKeys(overdue)] if overdue else changes


def _place(item: Object) -> Place:
    return item["metadata"]["namespace"], item["metadata"]["name"]


def _value(secret: Object, key: str) -> str:
    return base64.b64decode((secret.get("data") or {}).get(key, "")).decode()


def _credentials(place: Place, password: str, labels: dict[str, str]) -> Object:
    return _secret(place, {"username": user_name(*place), "password": password}, labels)


def _secret(place: Place, data: dict[str, str], labels: dict[str, str]) -> Object:
    encoded: dict[str, Any] = {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": place[1], "namespace": place[0], "labels": labels},
        "type": "Opaque",
        "data": encoded,
    }
