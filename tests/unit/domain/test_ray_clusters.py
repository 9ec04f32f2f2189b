"""The one RayCluster manifest."""

from typing import Any

import pytest

from atoll.contract.ray import RayClusterCreate
from atoll.domain.ray_clusters import lacking, ray_cluster_manifest, ray_image
from atoll.resources.virtual_clusters import RayClusterSpec


def manifest(**spec: Any) -> dict[str, Any]:
    return ray_cluster_manifest(
        RayClusterSpec(name="main", **spec),
        team="blue",
        virtual_cluster="demo",
        ray_version="2.60.0",
        image="docker.io/rayproject/ray:2.60.0",
    )


def test_it_is_in_the_ray_namespace_and_in_the_teams_queue() -> None:
    meta = manifest()["metadata"]
    assert (meta["name"], meta["namespace"]) == ("main", "ray")
    assert meta["labels"] == {
        "app.kubernetes.io/managed-by": "atoll",
        "atoll.dev/team": "blue",
        "atoll.dev/virtual-cluster": "demo",
        "volcano.sh/queue-name": "team-blue",
    }


def test_it_survives_its_head_as_a_user_of_its_own() -> None:
    assert manifest()["spec"]["gcsFaultToleranceOptions"] == {
        "redisAddress": "redis.ray:6379",
        "redisUsername": {
            "valueFrom": {"secretKeyRef": {"name": "raycluster-main-redis", "key": "username"}}
        },
        "redisPassword": {
            "valueFrom": {"secretKeyRef": {"name": "raycluster-main-redis", "key": "password"}}
        },
    }


def test_the_head_runs_no_tasks_and_opens_its_three_ports() -> None:
    head = manifest(head_cpu="250m", head_memory="1Gi")["spec"]["headGroupSpec"]
    assert head["rayStartParams"] == {"num-cpus": "0", "dashboard-host": "0.0.0.0"}
    (container,) = head["template"]["spec"]["containers"]
    assert container["resources"] == {
        "requests": {"cpu": "250m", "memory": "1Gi"},
        "limits": {"memory": "1Gi"},  # a head held to a quarter of a core starts for a minute
    }
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert [(p["name"], p["containerPort"]) for p in container["ports"]] == [
        ("gcs-server", 6379),
        ("dashboard", 8265),
        ("client", 10001),
    ]


@pytest.mark.parametrize("workers", [0, 3])
def test_the_workers_are_exactly_as_many_as_asked(workers: int) -> None:
    spec = manifest(workers=workers)["spec"]
    (group,) = spec["workerGroupSpecs"]
    assert (group["replicas"], group["minReplicas"], group["maxReplicas"]) == (workers,) * 3
    # min and max must be set where there is no autoscaler, and there is none.
    assert "enableInTreeAutoscaling" not in spec


def test_gpus_are_asked_for_only_when_wanted() -> None:
    def limits(gpus: int) -> dict[str, str]:
        group = manifest(worker_gpus=gpus)["spec"]["workerGroupSpecs"][0]
        resources = group["template"]["spec"]["containers"][0]["resources"]
        assert {k: v for k, v in resources["requests"].items() if k != "cpu"} == resources["limits"]
        found: dict[str, str] = resources["limits"]
        return found

    assert "nvidia.com/gpu" not in limits(0)
    assert limits(2)["nvidia.com/gpu"] == "2"


def test_the_api_and_the_worker_make_the_same() -> None:
    by_hand = ray_cluster_manifest(
        RayClusterCreate(name="main"),
        team="blue",
        virtual_cluster="demo",
        ray_version="2.60.0",
        image="docker.io/rayproject/ray:2.60.0",
    )
    assert by_hand == manifest()


@pytest.mark.parametrize(
    ("image", "registry", "expected"),
    [
        ("docker.io/rayproject/ray", None, "docker.io/rayproject/ray:2.60.0"),
        ("docker.io/rayproject/ray:2.60.0-gpu", None, "docker.io/rayproject/ray:2.60.0-gpu"),
        ("docker.io/rayproject/ray@sha256:0a", None, "docker.io/rayproject/ray@sha256:0a"),
        ("host:5000/ray", None, "host:5000/ray:2.60.0"),
        ("docker.io/rayproject/ray", "mirror.example/", "mirror.example/rayproject/ray:2.60.0"),
        ("host:5000/ray", "mirror.example", "mirror.example/ray:2.60.0"),
        ("rayproject/ray", "mirror.example", "mirror.example/rayproject/ray:2.60.0"),
        ("ray", "mirror.example", "mirror.example/ray:2.60.0"),
    ],
)
def test_the_image(image: str, registry: str | None, expected: str) -> None:
    assert ray_image(image, "2.60.0", registry) == expected


def test_readiness_is_asked_every_second_where_ray_has_the_endpoint() -> None:
    spec = manifest()["spec"]
    for group in (spec["headGroupSpec"], *spec["workerGroupSpecs"]):
        (container,) = group["template"]["spec"]["containers"]
        probe = container["readinessProbe"]
        assert probe["httpGet"] == {"path": "/api/healthz", "port": 52365}
        assert probe["periodSeconds"] == 1


def test_an_older_ray_keeps_the_probe_of_kuberay() -> None:
    old = ray_cluster_manifest(
        RayClusterSpec(name="main"), team="blue", virtual_cluster="demo",
        ray_version="2.52.1", image="docker.io/rayproject/ray:2.52.1",
    )  # fmt: skip
    (container,) = old["spec"]["headGroupSpec"]["template"]["spec"]["containers"]
    assert "readinessProbe" not in container


def test_what_ray_clusters_need_of_a_quota() -> None:
    clusters = [
        RayClusterSpec(name="a", workers=3, worker_gpus=2),
        RayClusterSpec(name="b", workers=0),
    ]
    assert lacking({}, clusters) == {}
    enough = {
        "cpu": "4", "memory": "10Gi", "pods": "5", "services": "2", "rayclusters": "2",
        "nvidia.com/gpu": "6",
    }  # fmt: skip
    assert lacking(enough, clusters) == {}
    short = {
        "cpu": "3999m", "memory": "9Gi", "pods": "4", "services": "1", "rayclusters": "1",
        "nvidia.com/gpu": "5",
    }  # fmt: skip
    assert lacking(short, clusters) == {
        "cpu": ("4", "3999m"), "memory": ("10Gi", "9Gi"), "pods": ("5", "4"), "services": ("2", "1"),
        "rayclusters": ("2", "1"), "nvidia.com/gpu": ("6", "5"),
    }  # fmt: skip
    assert lacking({"cpu": "0", "pods": "0"}, []) == {}


def test_the_head_keeps_its_address_and_is_found_before_it_is_ready() -> None:
    """KubeRay's headless Service leads to the pod's own address, which changes with the pod."""
    made = ray_cluster_manifest(
        RayClusterSpec(name="rays"), team="t", virtual_cluster="v", ray_version="2.60.0", image="i"
    )
    service = made["spec"]["headGroupSpec"]["headService"]["spec"]
    assert service == {"type": "ClusterIP", "publishNotReadyAddresses": True}
