"""A RayJob as somebody writes it with kubectl, past everything that stands in its way in a real virtual
cluster: admission inside, KubeRay, the gang scheduler, Redis.
"""

import asyncio
import time

import pytest

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import POD_GROUP, PROFILE, RAY_CLUSTER, RAY_JOB, VIRTUAL_CLUSTER
from atoll.domain.names import RAY_NAMESPACE, queue_name
from atoll.domain.ray_clusters import ray_cluster_manifest, ray_image
from atoll.resources.virtual_clusters import RayClusterSpec
from builders.sandbox_site import Site, inside_of, ready, until
from integration.platform.test_trouble import resource, wish

pytestmark = pytest.mark.sandbox
SHAPE = RayClusterSpec(name="count", workers=1, head_cpu="500m", head_memory="1Gi",
                       worker_cpu="500m", worker_memory="1Gi")  # fmt: skip


def ray_job(ray: Object) -> Object:
    """One that says nothing of gangs, queues or Redis."""
    manifest = ray_cluster_manifest(
        SHAPE, team="blue", virtual_cluster="jobs", ray_version=ray["version"],
        image=ray_image(ray["image"], ray["version"]),
    )  # fmt: skip
    del manifest["spec"]["gcsFaultToleranceOptions"]
    script = "import ray; ray.init(); print(ray.get(ray.remote(lambda: 6 * 7).remote()))"
    return {
        "apiVersion": "ray.io/v1", "kind": "RayJob",
        "metadata": {"name": "count", "namespace": RAY_NAMESPACE},
        "spec": {"entrypoint": f"python -c '{script}'", "shutdownAfterJobFinishes": True,
                 "rayClusterSpec": manifest["spec"]},
    }  # fmt: skip


async def test_a_ray_job_by_kubectl_is_one_gang_and_succeeds(site: Site) -> None:
    async with site.cluster() as host:
        quota = {"cpu": {"limit": "12"}, "memory": {"limit": "24Gi"}}
        await host.apply(resource("Team", "blue", {"quota": quota}))
        await host.create(resource("VirtualCluster", "jobs", wish()))
        await until(host, "jobs", ready, 150)
        ray = (await host.get(PROFILE, "default"))["spec"]["ray"]
        async with await inside_of(host, "jobs") as inside:
            await inside.create(ray_job(ray))
            found = await ended(inside)
            assert found["status"]["jobStatus"] == "SUCCEEDED", found["status"]
            # KubeRay names the gang after the job and keeps it for the job's life.
            group = await inside.get(POD_GROUP, "ray-count-pg", RAY_NAMESPACE)
            assert group["spec"]["queue"] == queue_name("blue")
        await host.delete(VIRTUAL_CLUSTER, "jobs")
        await until(host, "jobs", lambda item: item is None, 200)


async def ended(inside: Cluster) -> Object:
    """The RayJob once it is over; while it runs its Ray cluster is one gang of two."""
    deadline, gang = time.monotonic() + 120, 0
    while True:
        found = await inside.get(RAY_JOB, "count", RAY_NAMESPACE)
        status = found.get("status", {})
        if status.get("jobStatus") == "RUNNING":
            group = await inside.get(POD_GROUP, "ray-count-pg", RAY_NAMESPACE)
            gang = group["spec"]["minMember"]
        if status.get("jobStatus") in ("SUCCEEDED", "FAILED"):
            assert gang in (0, 2)  # 0: it was over between two looks
            return found
        if time.monotonic() > deadline:
            rays = await inside.items(RAY_CLUSTER, RAY_NAMESPACE)
            groups = await inside.items(POD_GROUP, RAY_NAMESPACE)
            told = [(one["kind"], one.get("status")) for one in (*rays, *groups)]
            raise AssertionError(f"{status}\n{told}")
        await asyncio.sleep(0.3)
