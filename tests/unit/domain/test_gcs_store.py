"""Whose keys are whose, and which Secret goes with which workload."""

from typing import Any

import pytest

from atoll.domain.gcs_store import (
    StoreUser,
    acl_file,
    credentials_of,
    key_owner,
    parse_acl,
    password_hash,
    storage_namespace,
)

USER = StoreUser("ray/raycluster-a-redis", password_hash("secret"), frozenset({"u1", "u2"}))


def ray_cluster(name: str = "a", **more: Any) -> dict[str, Any]:
    meta = {"name": name, "namespace": "ray", "uid": "u1", **more}
    return {"metadata": meta, "spec": {"gcsFaultToleranceOptions": {}}}


def test_a_user_reaches_its_own_keys_and_the_probe_key_only() -> None:
    keys = [rule for rule in USER.rules if rule.startswith("~")]
    assert keys == ["~RAYu1@*", "~RAYu2@*", "~DUMMY"]
    assert not [rule for rule in USER.rules if rule in ("+@all", "allcommands", "allkeys")]


def test_the_password_stands_nowhere_in_the_file() -> None:
    text = acl_file([USER])
    assert "secret" not in text.replace("ray/raycluster-a-redis", "")
    assert text.startswith("user ray/raycluster-a-redis reset on #")
    assert text.endswith("\n")


def test_what_redis_tells_of_a_user_is_the_user() -> None:
    told = (
        f"user {USER.name} on sanitize-payload #{USER.password_hash} ~RAYu2@* ~RAYu1@* ~DUMMY "
        "resetchannels -@all +@hash +scan -hkeys +ping"
    )
    assert parse_acl(told) == USER


@pytest.mark.parametrize("extra", ["~*", "%R~*", "off", "+@all", "nopass", "#" + "0" * 64, "&*"])
def test_a_user_who_may_do_more_is_not_ours(extra: str) -> None:
    rules = " ".join(r for r in USER.rules if r != "reset")
    assert parse_acl(f"user x {rules} resetchannels -@all") is not None
    assert parse_acl(f"user x {rules} resetchannels -@all {extra}") is None


@pytest.mark.parametrize(
    ("key", "owner"),
    [("RAYabc@NODE", "abc"), ("RAYa@b@KV", "a@b"), ("DUMMY", None), ("RAY@KV", None), ("x", None)],
)
def test_keys_name_their_owner(key: str, owner: str | None) -> None:
    assert key_owner(key) == owner


def test_a_ray_cluster_made_for_a_job_goes_by_the_jobs_secret() -> None:
    owner = {"kind": "RayJob", "name": "train", "controller": True}
    assert credentials_of(ray_cluster()) == "raycluster-a-redis"
    assert credentials_of(ray_cluster("train-x", ownerReferences=[owner])) == "rayjob-train-redis"
    other = {**owner, "kind": "Queue"}
    assert credentials_of(ray_cluster("b", ownerReferences=[other])) == "raycluster-b-redis"


def test_only_heads_that_keep_their_state_in_redis_have_keys() -> None:
    assert storage_namespace(ray_cluster()) == "u1"
    assert storage_namespace({"metadata": {"uid": "u"}, "spec": {}}) is None
    rocks = ray_cluster()
    rocks["spec"]["gcsFaultToleranceOptions"] = {"backend": "rocksdb"}
    assert storage_namespace(rocks) is None
