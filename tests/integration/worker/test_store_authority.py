"""Heads of an external Redis with TLS are handed its authority, by a real API server."""

from pathlib import Path
from typing import Any

import pytest

from atoll.cluster.client import Cluster, Object
from atoll.cluster.drift import says
from atoll_worker.reconcile.policies.manifests import policy_objects
from atoll_worker.reconcile.policies.store_authority import mutate_store_authority
from builders.policies_in_force import await_policies
from e2e.kube import Kube

PODS = "/api/v1/namespaces/other/pods?dryRun=All"
MOUNT = {
    "name": "atoll-redis-authority", "mountPath": "/etc/atoll-redis/ca.crt", "subPath": "ca.crt",
    "readOnly": True,
}  # fmt: skip
VARIABLE = {"name": "RAY_REDIS_CA_CERT", "value": "/etc/atoll-redis/ca.crt"}


def ray_pod(
    kind: str = "head", address: str = "rediss://redis.example.org:6380", **more: Any
) -> Object:
    reference = {"secretKeyRef": {"name": "raycluster-a-redis", "key": "password"}}
    env = [{"name": "RAY_REDIS_ADDRESS", "value": address},
           {"name": "REDIS_PASSWORD", "valueFrom": reference}]  # fmt: skip
    container = {"name": "ray", "image": "ray", "env": env, **more}
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": f"a-{kind}", "labels": {"ray.io/node-type": kind}},
        "spec": {"containers": [container]},
    }  # fmt: skip


def made(kube: Kube, pod: Object) -> tuple[list[Object], Object]:
    """Volumes and first container, as the API server would keep them."""
    answer = kube.create(PODS, pod)
    assert answer.status_code == 201, answer.text
    spec = answer.json()["spec"]
    return spec.get("volumes", []), spec["containers"][0]


@pytest.fixture
async def kube(inside_file: Path) -> Kube:
    async with Cluster.from_file(inside_file) as cluster:
        for manifest in policy_objects(mutate_store_authority(), {}):
            # The worker writes what differs: it would write at every look otherwise.
            assert says(await cluster.apply(manifest), manifest)
    kube = Kube.from_file(inside_file)
    await_policies(kube)
    return kube


@pytest.mark.parametrize("kind", ["head", "redis-cleanup"])
def test_heads_and_their_clean_up_get_it_from_the_secret_of_their_password(
    kube: Kube, kind: str
) -> None:
    volumes, ray = made(kube, ray_pod(kind))
    (volume,) = volumes
    assert volume["name"] == MOUNT["name"]
    assert volume["secret"]["secretName"] == "raycluster-a-redis"
    assert ray["volumeMounts"] == [MOUNT]
    assert VARIABLE in ray["env"]


def test_what_a_pod_has_stays(kube: Kube) -> None:
    pod = ray_pod(volumeMounts=[{"name": "own", "mountPath": "/own"}])
    pod["spec"]["volumes"] = [{"name": "own", "emptyDir": {}}]
    volumes, ray = made(kube, pod)
    assert [v["name"] for v in volumes] == ["own", MOUNT["name"]]
    assert [m["mountPath"] for m in ray["volumeMounts"]] == ["/own", MOUNT["mountPath"]]


@pytest.mark.parametrize(
    "pod", [ray_pod("worker"), ray_pod(address="redis.ray:6379")], ids=["worker", "no TLS"]
)
def test_others_are_left_alone(kube: Kube, pod: Object) -> None:
    volumes, ray = made(kube, pod)
    assert volumes == []
    assert VARIABLE not in ray["env"]
