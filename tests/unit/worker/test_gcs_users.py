"""What the step would change, for each way the world can be."""

import base64
from dataclasses import replace
from typing import Any, cast

from atoll.cluster.kinds import SECRET
from atoll.domain.gcs_store import StoreUser, acl_file, password_hash
from atoll_worker.reconcile.outcome import (
    Change,
    Done,
    DropKeys,
    Failed,
    ForgetStore,
    MarkOrphans,
    Put,
    PutStoreUsers,
    Remove,
    Wait,
)
from atoll_worker.reconcile.ports import External, KnownUsers
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.steps.gcs_users import (
    GRACE_SECONDS,
    GcsUsers,
    Seen,
    _names_former,
    _owners,
    _read_waiting,
)

PLACE = ("ray", "raycluster-a-redis")
USER = StoreUser("ray/raycluster-a-redis", password_hash("pw"), frozenset({"u1"}))
AT_SENTINEL = KnownUsers(True, {USER.name: replace(USER, storage_namespaces=frozenset())})


class FakeScope:
    """As much of a scope as the plan touches."""

    namespace = "vc-x"

    def __init__(self) -> None:
        self.refusals: dict[tuple[str, str, str], str] = {}

    def labels(self, step: str) -> dict[str, str]:
        return {"atoll.dev/step": step}


SCOPE = cast(Scope, FakeScope())


def seen(**other: Any) -> Seen:
    """A converged world, but for what is said."""
    so: dict[str, Any] = {
        "served": True,
        "owners": {PLACE: frozenset({"u1"})},
        "credentials": {PLACE: "pw"},
        "stored": {
            "users.acl": acl_file([USER]),
            "sentinel.acl": acl_file([USER], sentinel=True),
        },
        "live": (KnownUsers(False, {USER.name: USER}), AT_SENTINEL),
        "with_keys": frozenset({"u1"}),
    }
    return Seen(**so | other)


def plan(**other: Any) -> list[Change]:
    return GcsUsers().plan(SCOPE, seen(**other))


def test_a_converged_world_is_left_alone() -> None:
    assert plan() == []
    assert isinstance(GcsUsers().judge(SCOPE, seen()), Done)


def test_a_new_workload_gets_its_secret_last() -> None:
    changes = plan(credentials={}, stored={}, live=(KnownUsers(False, {}),), with_keys=frozenset())
    file, users, secret = changes
    assert isinstance(file, Put)
    assert not file.inside
    assert isinstance(users, PutStoreUsers)
    assert isinstance(secret, Put)
    assert secret.inside
    assert secret.manifest["metadata"]["name"] == PLACE[1]
    assert secret.refusable  # one namespace that is going must not keep the others waiting
    told = GcsUsers().judge(SCOPE, seen(credentials={}))
    assert isinstance(told, Wait)
    assert "ray/raycluster-a-redis" in told.message


def test_a_refused_secret_keeps_its_password_from_the_second_look_on() -> None:
    known = (KnownUsers(False, {USER.name: USER}), AT_SENTINEL)
    waiting, file, users, secret = plan(credentials={}, live=known)
    assert isinstance(waiting, Put)
    assert not waiting.inside
    assert waiting.manifest["metadata"]["name"] == "redis-users-waiting"
    assert isinstance(file, Put)
    assert isinstance(users, PutStoreUsers)
    (password,) = data_of(waiting).values()
    assert data_of(secret)["password"] == password
    found = _read_waiting(waiting.manifest)
    assert found == {PLACE: password}
    kept = replace(USER, password_hash=password_hash(password))
    files = {"users.acl": acl_file([kept]), "sentinel.acl": acl_file([kept], sentinel=True)}
    sentinel = KnownUsers(True, {kept.name: replace(kept, storage_namespaces=frozenset())})
    settled: dict[str, Any] = {
        "waiting": found, "stored": files, "live": (KnownUsers(False, {kept.name: kept}), sentinel),
    }  # fmt: skip
    assert plan(credentials={}, **settled) == [secret]
    after = plan(credentials={PLACE: password}, **settled)
    assert after == [Remove(SECRET, "redis-users-waiting", "vc-x")]


def test_a_workload_that_goes_takes_its_waiting_password_with_it() -> None:
    (gone,) = plan(
        owners={}, credentials={}, waiting={PLACE: "pw"}, live=(), with_keys=frozenset(),
        stored={"users.acl": acl_file([]), "sentinel.acl": acl_file([], sentinel=True)},
    )  # fmt: skip
    assert gone == Remove(SECRET, "redis-users-waiting", "vc-x")


def test_a_new_workload_is_not_taken_for_a_refused_one() -> None:
    changes = plan(credentials={}, stored={}, live=(KnownUsers(False, {}),), with_keys=frozenset())
    assert "redis-users-waiting" not in str(changes)


def test_a_refusal_is_told_in_the_words_of_the_namespace() -> None:
    scope = FakeScope()
    scope.refusals["Secret", *PLACE] = "exceeded quota: secrets=0"
    told = GcsUsers().judge(cast(Scope, scope), seen(credentials={}))
    assert isinstance(told, Failed)
    assert (told.reason, told.who, told.permanent) == ("SecretRefused", "team owner", False)
    assert "ray/raycluster-a-redis (exceeded quota: secrets=0)" in told.message


def cluster(name: str, **meta: Any) -> dict[str, Any]:
    meta |= {"namespace": "ray", "name": name, "uid": f"uid-of-{name[0]}"}
    return {"metadata": meta, "spec": {"gcsFaultToleranceOptions": {}}}


def test_a_name_for_which_no_secret_can_be_holds_nobody_up() -> None:
    found = _owners([cluster("x" * 240), cluster("a")], ())
    assert found == {PLACE: {"uid-of-a"}}


def test_one_on_its_way_out_keeps_its_secret_and_gets_no_new_one() -> None:
    going = cluster("a", deletionTimestamp="2026-11-21T12:00:00Z")
    assert _owners([going], {PLACE}) == {PLACE: {"uid-of-a"}}
    assert _owners([going], ()) == {}


def test_one_process_that_forgot_is_told_again() -> None:
    assert plan(live=(KnownUsers(False, {}), AT_SENTINEL)) == [PutStoreUsers((USER,))]
    assert plan(live=(KnownUsers(False, {USER.name: None}),)) == [PutStoreUsers((USER,))]


def test_the_user_of_a_workload_that_is_gone_goes() -> None:
    changes = plan(owners={}, with_keys=frozenset())
    assert isinstance(changes[0], Remove)
    assert PutStoreUsers((), (USER.name,)) in changes


def test_an_upgrade_of_a_service_gives_one_user_the_keys_of_both_clusters() -> None:
    (users,) = [c for c in plan(owners={PLACE: frozenset({"u1", "u2"})}) if not isinstance(c, Put)]
    assert isinstance(users, PutStoreUsers)
    assert users.users[0].storage_namespaces == {"u1", "u2"}


def test_keys_without_an_owner_are_kept_for_a_while() -> None:
    (mark,) = plan(with_keys=frozenset({"u1", "old"}))
    assert isinstance(mark, MarkOrphans)
    assert set(mark.marked) == {"old"}
    young = mark.marked["old"]
    assert plan(with_keys=frozenset({"u1", "old"}), orphans={"old": young}) == []
    overdue = {"old": young - GRACE_SECONDS - 1}
    assert plan(with_keys=frozenset({"u1", "old"}), orphans=overdue) == [DropKeys(("old",))]


def test_keys_of_the_living_are_never_dropped() -> None:
    assert plan(orphans={"u1": 0.0}) == [MarkOrphans({}, ("u1",))]


THEIRS = External(
    "redis.example.org:6380", "redis.example.org", 6380, "theirs", "atoll", "PEM",
    "atoll-system/theirs", each=True, installation="here", member="x.u-x",
)  # fmt: skip


def in_theirs(external: External, **other: Any) -> list[Change]:
    """The plan for a workload without a Secret, or with what is said, in an external Redis."""
    so: dict[str, Any] = {"stored": {}, "credentials": {}, "live": (KnownUsers(False, {}),)}
    return plan(**so | {"external": external} | other)


def data_of(change: Change) -> dict[str, str]:
    assert isinstance(change, Put)
    data: dict[str, str] = change.manifest["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def test_in_an_external_redis_users_bear_the_virtual_clusters_name() -> None:
    users, secret = in_theirs(THEIRS)
    assert isinstance(users, PutStoreUsers)
    assert users.users[0].name == "x.u-x/ray/raycluster-a-redis"
    told = data_of(secret)
    assert told["username"] == users.users[0].name
    assert password_hash(told["password"]) == users.users[0].password_hash
    assert told["ca.crt"] == "PEM"


def test_without_users_of_their_own_all_get_the_one_and_follow_its_password() -> None:
    one = replace(THEIRS, each=False, authority=None)
    users, secret = in_theirs(one, credentials={PLACE: "of-yesterday"})
    assert isinstance(users, PutStoreUsers)
    assert data_of(secret) == {"username": "atoll", "password": "theirs"}


def test_a_changed_authority_is_handed_on_and_what_gone_ones_left_is_removed() -> None:
    known = StoreUser("x.u-x/ray/raycluster-a-redis", password_hash("pw"), frozenset({"u1"}))
    so = {"credentials": {PLACE: "pw"}, "live": (KnownUsers(False, {known.name: known}),)}
    assert in_theirs(THEIRS, **so) == []
    secret, forget = in_theirs(THEIRS, outdated=frozenset({PLACE}), left=("gone.u",), **so)
    assert data_of(secret)["ca.crt"] == "PEM"
    assert forget == ForgetStore("gone.u")


def test_the_secret_of_earlier_versions_goes_when_nobody_names_it() -> None:
    assert plan(former=True) == [Remove(SECRET, "redis", "ray", inside=True)]
    reference = {"valueFrom": {"secretKeyRef": {"name": "redis", "key": "password"}}}
    old = {"gcsFaultToleranceOptions": {"redisPassword": reference}}
    for namespace, spec, names in (("ray", old, True), ("lab", old, False), ("ray", {}, False)):
        cluster = {"metadata": {"name": "a", "namespace": namespace}, "spec": spec}
        assert _names_former(cluster) is names


def test_nothing_is_dropped_while_ray_clusters_cannot_be_listed() -> None:
    assert GcsUsers().plan(SCOPE, Seen(False, with_keys=frozenset({"u1"}))) == []
