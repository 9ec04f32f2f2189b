"""Every Ray workload has a user of its own in Redis; keys that nobody owns are swept away."""

import base64
import secrets
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import SECRET, VIRTUAL_CLUSTER
from atoll.domain.gcs_store import (
    StoreUser,
    acl_file,
    credentials_of,
    password_hash,
    storage_namespace,
    user_name,
)
from atoll.domain.names import LABEL_MANAGED, LABEL_STEP, RAY_NAMESPACE
from atoll_worker.reconcile.outcome import (
    Change,
    Done,
    DropKeys,
    Failed,
    ForgetStore,
    MarkOrphans,
    Outcome,
    Put,
    PutStoreUsers,
    Remove,
    Wait,
)
from atoll_worker.reconcile.ports import External, KnownUsers
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step
from atoll_worker.reconcile.stores import member_of

GRACE_SECONDS = 600.0
"""How long keys without a RayCluster are kept: a store put back from a backup may lag."""
FILE_SECRET = "redis-users"  # noqa: S105 (a name)
"""On the host: the users as an ACL file with hashed passwords; Redis reads it when it starts."""

WAITING_SECRET = "redis-users-waiting"  # noqa: S105 (a name)
"""On the host: passwords of users whose Secret their namespace does not let in, so that they are not made
anew, and told to every process of Redis, at each look."""
_WAITING_LIMIT = 500
"""Most passwords in it: a Secret holds 1 MiB."""
_WORDS_LIMIT = 200
"""Most characters of a refusal that the condition quotes."""

FORMER_SECRET = "redis"  # noqa: S105 (a name)
"""Inside, in the Ray namespace: where earlier versions put the administrator's password."""
_NAMED = 5
"""Most Secrets that the condition names."""
_NAME_LIMIT = 253
"""Longest name of a Secret. KubeRay takes far shorter names only, the definition of RayClusters any."""

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
    waiting: dict[Place, str] = field(default_factory=dict)
    """Secret that could not be put -> the password that was made for it."""
    stored: dict[str, str] = field(default_factory=dict)
    """The files of the host's Secret, by name."""
    live: tuple[KnownUsers, ...] = ()
    with_keys: frozenset[str] = frozenset()
    orphans: dict[str, float] = field(default_factory=dict)
    external: External | None = None
    outdated: frozenset[Place] = frozenset()
    """Secrets that are there and say another user, or another authority, than they must."""
    left: tuple[str, ...] = ()
    """Virtual clusters that are gone and have something in the external Redis."""
    former: bool = False
    """The Secret with the administrator's password that earlier versions put inside, and nobody names."""


class GcsUsers(Step):
    """A head waits for its Secret, so the Secret comes last, when its user is in every process."""

    name, title, condition = "gcs-users", "Give every Ray head its own keys", "GcsUsersReady"
    needs = ("RedisReady", "AccessReady")
    after = ("OperatorReady", "RayClustersReady")

    async def observe(self, scope: Scope) -> Seen:
        inside = await scope.inside()
        store = await scope.gcs_store()
        with_keys, orphans = await store.key_owners(), await store.orphans()
        clusters = await scope.ray_clusters()
        if clusters is not None and not with_keys <= set(map(storage_namespace, clusters)):
            # Keys of nobody are judged by clusters that were listed after them: one made in between is
            # then known, its keys are not.
            scope.changed()
            clusters = await scope.ray_clusters()
        if clusters is None:
            return Seen(False)
        found = await inside.items(SECRET, labels={LABEL_STEP: self.name})
        file = await scope.host.find(SECRET, FILE_SECRET, scope.namespace)
        external = await scope.external_access() if scope.external else None
        credentials = {_place(secret): _value(secret, "password") for secret in found}
        return Seen(
            served=True,
            external=external,
            outdated=_outdated(found, external),
            left=await _left(scope, external) if external else (),
            former=await _former(inside, clusters),
            owners=_owners(clusters, credentials.keys()),
            credentials=credentials,
            waiting=_read_waiting(
                await scope.host.find(SECRET, WAITING_SECRET, scope.namespace) or {}
            ),
            stored={key: _value(file, key) for key in file.get("data") or {}} if file else {},
            live=tuple(await store.users()),
            with_keys=with_keys,
            orphans=orphans,
        )

    def plan(self, scope: Scope, seen: Seen) -> list[Change]:
        if not seen.served:
            return []
        passwords = _passwords(seen)
        prefix = seen.external.user_prefix if seen.external else ""
        users = tuple(_users(seen.owners, passwords, prefix))
        changes: list[Change] = [
            Remove(SECRET, name, namespace, inside=True)
            for namespace, name in seen.credentials.keys() - seen.owners.keys()
        ]
        labels = scope.labels(self.name)
        changes += _waiting_changes(seen, passwords, prefix, scope.namespace, labels)
        files = _files(users) if seen.external is None else {}
        if files != seen.stored:
            changes.append(Put(_secret((scope.namespace, FILE_SECRET), files, labels)))
        changes += _live_changes(users, seen.live, anew=files != seen.stored)
        changes += [
            Put(
                _secret(place, _credentials(place, password, seen.external), labels),
                inside=True,
                refusable=True,
            )
            for place, password in passwords.items()
            if seen.credentials.get(place) != password or place in seen.outdated
        ]
        if seen.former:
            changes.append(Remove(SECRET, FORMER_SECRET, RAY_NAMESPACE, inside=True))
        changes += [ForgetStore(member) for member in seen.left]
        return changes + _sweep(seen, time.time())

    def judge(self, scope: Scope, seen: Seen) -> Outcome:
        if not seen.served:
            return Wait("WaitingForOperator", "Ray clusters are not served yet")
        missing = sorted(seen.owners.keys() - seen.credentials.keys())
        refused = {
            f"{namespace}/{name}": scope.refusals["Secret", namespace, name]
            for namespace, name in missing
            if ("Secret", namespace, name) in scope.refusals
        }
        if refused:
            return _refused(refused)
        if missing:
            names = ", ".join(f"{namespace}/{name}" for namespace, name in missing[:_NAMED])
            return Wait(
                "Writing", f"Users of Redis are being written; without their Secret: {names}"
            )
        count = len(seen.owners)
        return Done(f"{count} Ray workload{'' if count == 1 else 's'}, each with keys of its own")


def _owners(clusters: Iterable[Object], there: Collection[Place]) -> dict[Place, frozenset[str]]:
    """Who goes by which Secret; `there`: the Secrets that there are.

    One on its way out gets no Secret any more: with a namespace that is going the Secret went first, and
    none can be made.
    """
    found: dict[Place, set[str]] = defaultdict(set)
    for cluster in clusters:
        owner, secret = storage_namespace(cluster), credentials_of(cluster)
        place = cluster["metadata"]["namespace"], secret
        late = "deletionTimestamp" in cluster["metadata"] and place not in there
        if owner is not None and len(secret) <= _NAME_LIMIT and not late:
            found[place].add(owner)
    return {place: frozenset(owners) for place, owners in found.items()}


def _passwords(seen: Seen) -> dict[Place, str]:
    """Secret -> what its password must be: the one there is, a new one, or the one they all share."""
    if seen.external and not seen.external.each:
        return dict.fromkeys(seen.owners, seen.external.password)
    return {
        place: seen.credentials.get(place) or seen.waiting.get(place) or secrets.token_urlsafe(32)
        for place in seen.owners
    }


def _waiting_changes(
    seen: Seen, passwords: dict[Place, str], prefix: str, namespace: str, labels: dict[str, str]
) -> list[Change]:
    """Keep the passwords of users that an earlier look has made, and whose Secret is not there all the
    same: their namespace refused it, and will again.
    """
    known = {name for one in seen.live for name in one.users}
    own = seen.external is None or seen.external.each
    lacking = sorted(
        place
        for place in seen.owners.keys() - seen.credentials.keys()
        if own and (place in seen.waiting or prefix + user_name(*place) in known)
    )
    wanted = {place: passwords[place] for place in lacking[:_WAITING_LIMIT]}
    if wanted == seen.waiting:
        return []
    if not wanted:
        return [Remove(SECRET, WAITING_SECRET, namespace)]
    # A namespace's name has no dot.
    data = {".".join(place): password for place, password in wanted.items()}
    return [Put(_secret((namespace, WAITING_SECRET), data, labels))]


def _read_waiting(secret: Object) -> dict[Place, str]:
    found = {}
    for key in secret.get("data") or {}:
        namespace, _, name = key.partition(".")
        found[namespace, name] = _value(secret, key)
    return found


def _refused(places: dict[str, str]) -> Failed:
    """Which Secrets their namespaces do not let in, and in whose words."""
    shown = "; ".join(
        f"{place} ({words[:_WORDS_LIMIT]})" for place, words in list(places.items())[:_NAMED]
    )
    more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
    return Failed(
        "SecretRefused",
        f"The password of Redis for a Ray workload is not let into its namespace: {shown}{more}. Its head "
        "waits for it; mend the policy or quota of that namespace, or delete the workload. All others "
        "have theirs.",
        who="team owner",
        delay=5,
    )


def _outdated(found: list[Object], external: External | None) -> frozenset[Place]:
    wanted = {_place(item): _credentials(_place(item), "", external) for item in found}
    return frozenset(
        _place(item)
        for item in found
        if any(
            _value(item, key) != wanted[_place(item)].get(key, "") for key in ("username", "ca.crt")
        )
    )


async def _left(scope: Scope, external: External) -> tuple[str, ...]:
    """Read in this order: one that is made in between is then living, and not yet there."""
    members = await scope.stores.external(external).members()
    found = [item["metadata"] for item in await scope.host.items(VIRTUAL_CLUSTER)]
    living = {member_of(meta["name"], meta["uid"]) for meta in found}
    return tuple(sorted(members - living))


async def _former(inside: Cluster, clusters: Iterable[Object]) -> bool:
    """Whether it is there, is ours, and no RayCluster names it any more."""
    secret = await inside.find(SECRET, FORMER_SECRET, RAY_NAMESPACE)
    ours = secret and (secret["metadata"].get("labels") or {}).get(LABEL_MANAGED) == "atoll"
    return bool(ours) and not any(_names_former(cluster) for cluster in clusters)


def _names_former(cluster: Object) -> bool:
    if cluster["metadata"]["namespace"] != RAY_NAMESPACE:
        return False
    return any(
        reference.get("name", reference.get("secretName")) == FORMER_SECRET
        for reference in _secret_references(cluster["spec"])
    )


def _secret_references(part: Any) -> Iterator[dict[str, Any]]:
    """Every place of a manifest that names a Secret: in the environment and as a volume."""
    if isinstance(part, list):
        for one in part:
            yield from _secret_references(one)
    elif isinstance(part, dict):
        for key, value in part.items():
            if key in ("secretKeyRef", "secretRef", "secret") and isinstance(value, dict):
                yield value
            yield from _secret_references(value)


def _files(users: tuple[StoreUser, ...]) -> dict[str, str]:
    return {"users.acl": acl_file(users), "sentinel.acl": acl_file(users, sentinel=True)}


def _users(
    owners: dict[Place, frozenset[str]], passwords: dict[Place, str], prefix: str
) -> list[StoreUser]:
    return [
        StoreUser(prefix + user_name(*place), password_hash(passwords[place]), mine)
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


def _credentials(place: Place, password: str, external: External | None) -> dict[str, str]:
    """What the Secret beside a workload says."""
    if external is None:
        return {"username": user_name(*place), "password": password}
    own, shared = external.user_prefix + user_name(*place), external.username or "default"
    data = {"username": own if external.each else shared, "password": password}
    return data | ({"ca.crt": external.authority} if external.authority else {})


def _secret(place: Place, data: dict[str, str], labels: dict[str, str]) -> Object:
    encoded: dict[str, Any] = {k: base64.b64encode(v.encode()).decode() for k, v in data.items()}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": place[1], "namespace": place[0], "labels": labels},
        "type": "Opaque",
        "data": encoded,
    }
