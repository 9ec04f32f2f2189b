"""What another quota does to what is in a virtual cluster."""

from atoll.domain.lowering import describe_over
from atoll.domain.quotas import Amounts
from atoll.domain.virtual_cluster_previews import Fit, Preview, preview
from atoll.resources.virtual_clusters import RayClusterSpec

USED = {"cpu": "5500m", "memory": "2Gi", "pods": "3"}


def run(before: Amounts, after: Amounts, used: Amounts = USED, *, uid: str = "u") -> Preview:
    return preview(uid, before, after, used, ())


def out(after: Amounts, clusters: list[RayClusterSpec]) -> tuple[Fit, ...]:
    return preview("u", {}, after, {}, clusters).no_longer_fit


def test_every_resource_before_and_after_with_what_is_over() -> None:
    found = run({"cpu": "8", "memory": "16Gi", "virtualclusters": "1"}, {"cpu": "4", "pods": "9"})
    told = [(x.resource, x.limit_before, x.limit_after, x.taken, x.over) for x in found.lines]
    assert told == [
        ("cpu", "8", "4", "5500m", "1500m"),
        ("memory", "16Gi", None, "2Gi", "0"),
        ("pods", None, "9", "3", "0"),
    ]
    assert describe_over(found.lines, "used") == "cpu: 5500m used of 4, 1500m over"


def test_only_what_puts_more_over_than_is_now_is_confirmed() -> None:
    assert run({"cpu": "8"}, {"cpu": "5"}).needs_confirmation
    assert run({"cpu": "5"}, {"cpu": "4"}).needs_confirmation
    assert run({}, {"pods": "2"}).needs_confirmation
    # Above what is used; over already and not more so; no longer named.
    assert not run({"cpu": "8"}, {"cpu": "5500m"}).needs_confirmation
    assert not run({"cpu": "4"}, {"cpu": "4", "memory": "2Gi"}).needs_confirmation
    assert not run({"cpu": "4"}, {"cpu": "5"}).needs_confirmation
    assert not run({"cpu": "4"}, {}).needs_confirmation
    # One line that gets better makes up for none that gets worse.
    assert run({"cpu": "4", "pods": "9"}, {"cpu": "8", "pods": "2"}).needs_confirmation


def test_a_fingerprint_is_of_what_is_over_and_not_of_how_much_is_used() -> None:
    now = run({"cpu": "8"}, {"cpu": "5"}).fingerprint
    assert run({"cpu": "8"}, {"cpu": "5"}, {"cpu": "7"}).fingerprint == now
    for other in (
        run({"cpu": "8"}, {"cpu": "5"}, uid="made anew"),
        run({"cpu": "8"}, {"cpu": "4"}),
        run({"cpu": "50"}, {"cpu": "5"}),
        run({"cpu": "8", "pods": "9"}, {"cpu": "5", "pods": "9"}),
        run({"cpu": "8"}, {"cpu": "5"}, {"cpu": "1"}),
    ):
        assert other.fingerprint != now
    both = {"cpu": "8", "pods": "9"}, {"cpu": "5", "pods": "8"}
    assert run(*both, {"cpu": "6", "pods": "8"}).fingerprint != run(
        *both, {"cpu": "6", "pods": "9"}
    ).fingerprint  # fmt: skip


def test_ray_clusters_are_filled_in_again_in_their_order() -> None:
    clusters = [
        RayClusterSpec(name=name, workers=workers, head_cpu="1", worker_cpu="1")
        for name, workers in (("first", 1), ("large", 9), ("small", 1))
    ]
    (large,) = out({"cpu": "4", "services": "5"}, clusters)
    assert large == Fit("large", large.demand)
    assert large.demand["cpu"] == "10"
    assert large.demand["rayclusters"] == "1"
    assert [fit.name for fit in out({"rayclusters": "1"}, clusters)] == ["large", "small"]
    assert out({}, clusters) == ()
