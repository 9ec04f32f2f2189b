"""The rules of a virtual cluster's spec that need nothing but what was read."""

from atoll.application.checks import password_problems, store_problems
from atoll.resources.profiles import Profile
from atoll.resources.virtual_clusters import VirtualClusterSpec

CHART = {"repository": "https://charts.example.org", "name": "x", "version": "1.7.0"}
SPEC = {
    "kubernetes": {"version": "1.36.3"},
    "vcluster": {"chart": CHART},
    "kuberay": {"chart": CHART},
    "scheduler": {"chart": CHART},
    "ray": {"version": "2.55.1"},
}
OWN = Profile.model_validate({"metadata": {"name": "own"}, "spec": SPEC})
EXTERNAL = {"external": {"address": "10.0.8.9:6380", "secret": "team-redis"}}
THEIRS = Profile.model_validate(
    {"metadata": {"name": "theirs"}, "spec": {**SPEC, "redis": EXTERNAL}}
)


def spec(version: int) -> VirtualClusterSpec:
    return VirtualClusterSpec(team="vision", redis_password_version=version)


def test_a_new_password_is_for_a_redis_of_its_own_and_goes_forward() -> None:
    assert password_problems(spec(1), spec(2), OWN) == []
    assert password_problems(None, spec(1), OWN) == []
    (back,) = password_problems(spec(2), spec(1), OWN)
    assert (back.pointer, back.limit) == ("/spec/redisPasswordVersion", "2")
    (theirs,) = password_problems(spec(0), spec(1), THEIRS)
    assert "'team-redis'" in theirs.detail
    assert "10.0.8.9:6380" in theirs.detail
    assert password_problems(spec(1), spec(1), THEIRS) == []


def test_a_virtual_cluster_stays_where_its_ray_heads_keep_their_state() -> None:
    assert store_problems("own", spec(0), OWN) == []
    assert store_problems(None, spec(0), THEIRS) == []
    assert store_problems("10.0.8.9:6380", spec(0), THEIRS) == []
    (away,) = store_problems("own", spec(0), THEIRS)
    assert away.pointer == "/spec/profile"
    assert (
        "in a Redis of its own, and profile 'default' has the Redis at 10.0.8.9:6380" in away.detail
    )
    (back,) = store_problems("10.0.8.9:6380", spec(0), OWN)
    assert (
        "in the Redis at 10.0.8.9:6380, and profile 'default' has a Redis of its own" in back.detail
    )
