"""The rules of a virtual cluster's spec that need nothing but what was read."""

from atoll.application.checks import password_problems
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
