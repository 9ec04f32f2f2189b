"""Ray workloads as people write them, and the parts of them that tests change."""

from typing import Any

from atoll.domain.ray_clusters import ray_cluster_manifest
from atoll.resources.virtual_clusters import RayClusterSpec

Object = dict[str, Any]


def ray_cluster(workers: int = 1, **more: Any) -> Object:
    spec = RayClusterSpec(name="rays", workers=workers, **more)
    return ray_cluster_manifest(
        spec, team="a", virtual_cluster="x", scheduler="volcano", ray_version="2.60.0", image="ray"
    )


def ray_job(workers: int = 1) -> Object:
    made = ray_cluster(workers)
    spec = {"entrypoint": "true", "rayClusterSpec": made.pop("spec")}
    return {**made, "kind": "RayJob", "spec": spec}


def ray_service() -> Object:
    made = ray_cluster()
    return {**made, "kind": "RayService", "spec": {"rayClusterConfig": made.pop("spec")}}


def cluster_of(workload: Object) -> Object:
    spec: Object = workload["spec"]
    return spec.get("rayClusterSpec") or spec.get("rayClusterConfig") or spec


def worker_pod(workload: Object) -> Object:
    pod: Object = cluster_of(workload)["workerGroupSpecs"][0]["template"]
    return pod
