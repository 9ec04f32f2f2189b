"""What another quota does to what is in a virtual cluster."""

from atoll.domain.virtual_cluster_previews import Fit, lines, no_longer_fit
from atoll.resources.virtual_clusters import RayClusterSpec


def test_every_resource_before_and_after_with_what_is_over() -> None:
    found = lines(
        {"cpu": "8", "memory": "16Gi", "virtualclusters": "1"},
        {"cpu": "4", "pods": "9"},
        {"cpu": "5500m", "memory": "2Gi", "pods": "3"},
    )
    assert [(x.resource, x.before, x.after, x.used, x.over) for x in found] == [
        ("cpu", "8", "4", "5500m", "1500m"),
        ("memory", "16Gi", None, "2Gi", "0"),
        ("pods", None, "9", "3", "0"),
    ]


def test_ray_clusters_are_filled_in_again_in_their_order() -> None:
    clusters = [
        RayClusterSpec(name=name, workers=workers, head_cpu="1", worker_cpu="1")
        for name, workers in (("first", 1), ("large", 9), ("small", 1))
    ]
    (out,) = no_longer_fit({"cpu": "4", "services": "5"}, clusters)
    assert out == Fit("large", out.demand)
    assert out.demand["cpu"] == "10"
    assert out.demand["rayclusters"] == "1"
    assert [fit.name for fit in no_longer_fit({"rayclusters": "1"}, clusters)] == ["large", "small"]
    assert no_longer_fit({}, clusters) == []
