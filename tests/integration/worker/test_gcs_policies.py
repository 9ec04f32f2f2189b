"""Admission inside, by a real API server: who gets the lines, who is refused, in which words."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from atoll.cluster.client import Cluster, InitializingError, Object
from atoll.cluster.kinds import RAY_CLUSTER, RAY_JOB, RAY_SERVICE, kind_of
from atoll.domain.gcs_store import OFF_LABEL, fault_tolerance_options
from atoll.errors import AtollError
from atoll_worker.reconcile.gcs_policies import gcs_policy_manifests
from builders.policies_in_force import await_policies
from e2e.kube import Kube

CRDS = Path(__file__).parents[3] / "platform/atoll/hosts/sandbox/charts/kuberay-operator/crds"


def workload(kind: str, name: str, spec: dict[str, Any], **meta: Any) -> Object:
    return {
        "apiVersion": "ray.io/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default", **meta},
        "spec": spec,
    }


class Tenant:
    """A virtual cluster's API with the policies in force."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig

    def make(self, *manifests: Object) -> Object:
        async def go() -> Object:
            async with Cluster.from_file(self._kubeconfig) as cluster:
                for manifest in manifests:
                    made = await cluster.apply(manifest)
                return made

        return asyncio.run(go())

    def refusal(self, manifest: Object) -> str:
        with pytest.raises(AtollError) as refused:
            self.make(manifest)
        return refused.value.detail

    def install(self, *, mutate: bool) -> None:
        """The definitions and the policies; returns when both are in force."""
        self.make(*(yaml.safe_load(file.read_text()) for file in sorted(CRDS.glob("*.yaml"))))
        self.make(*gcs_policy_manifests({}, mutate=mutate))
        await_policies(Kube.from_file(self._kubeconfig))


@pytest.fixture
def tenant(api_server: Path, request: pytest.FixtureRequest) -> Iterator[Tenant]:
    made = Tenant(api_server)
    made.install(mutate=request.param)
    yield made

    async def clear() -> None:
        async with Cluster.from_file(api_server) as cluster:
            for manifest in gcs_policy_manifests({}, mutate=request.param):
                await cluster.delete(kind_of(manifest), manifest["metadata"]["name"])
            for kind in (RAY_CLUSTER, RAY_JOB, RAY_SERVICE):
                # A kind that is not served yet has none to remove.
                with suppress(InitializingError):
                    for item in await cluster.items(kind):
                        meta = item["metadata"]
                        await cluster.delete(kind, meta["name"], meta["namespace"])

    asyncio.run(clear())


@pytest.mark.parametrize("tenant", [True], indirect=True)
def test_ray_clusters_get_the_lines(tenant: Tenant) -> None:
    made = tenant.make(workload("RayCluster", "main", {}))
    options = fault_tolerance_options("raycluster-main-redis")
    assert made["spec"]["gcsFaultToleranceOptions"] == options
    again = tenant.make(workload("RayCluster", "main", {"rayVersion": "2.60.0"}))
    assert again["spec"]["gcsFaultToleranceOptions"] == options
    job = tenant.make(workload("RayJob", "train", {"rayClusterSpec": {"rayVersion": "2.60.0"}}))
    assert "gcsFaultToleranceOptions" not in job["spec"]["rayClusterSpec"]
    owner = {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "name": "train",
        "uid": job["metadata"]["uid"],
        "controller": True,
    }
    of_job = tenant.make(workload("RayCluster", "train-abcde", {}, ownerReferences=[owner]))
    options = fault_tolerance_options("rayjob-train-redis")
    assert of_job["spec"]["gcsFaultToleranceOptions"] == options


@pytest.mark.parametrize("tenant", [True, False], indirect=True)
@pytest.mark.parametrize(
    ("kind", "field"),
    [("RayCluster", ""), ("RayJob", "rayClusterSpec"), ("RayService", "rayClusterConfig")],
)
def test_the_credentials_of_another_are_refused_with_the_right_lines(
    tenant: Tenant, kind: str, field: str
) -> None:
    own = f"{kind.lower()}-w-redis"

    def spec(options: dict[str, Any]) -> dict[str, Any]:
        inner = {"gcsFaultToleranceOptions": options}
        return {field: inner} if field else inner

    right = fault_tolerance_options(own)
    wrong = (
        fault_tolerance_options("raycluster-other-redis"),
        right | {"externalStorageNamespace": "of-another"},
        right | {"redisAddress": "elsewhere:6379"},
        {key: value for key, value in right.items() if key != "redisUsername"},
    )
    for options in wrong:
        told = tenant.refusal(workload(kind, "w", spec(options)))
        where = f"spec.{field}.gcs" if field else "spec.gcs"
        assert f"Set {where}FaultToleranceOptions to" in told
        lines = told.partition("FaultToleranceOptions to ")[2].partition(": the head keeps")[0]
        assert yaml.safe_load(lines) == right, "the lines can be copied as they are"
    assert tenant.make(workload(kind, "w", spec(right)))


@pytest.mark.parametrize("tenant", [False], indirect=True)
def test_where_kubernetes_cannot_add_the_lines_they_are_asked_for(tenant: Tenant) -> None:
    bare: tuple[tuple[str, dict[str, Any]], ...] = (
        ("RayCluster", {}),
        ("RayJob", {"rayClusterSpec": {}}),
        ("RayService", {"rayClusterConfig": {}}),
    )
    for kind, spec in bare:
        assert "redisAddress" in tenant.refusal(workload(kind, "bare", spec))
    borrowed = {"clusterSelector": {"ray.io/cluster": "main"}}
    assert tenant.make(workload("RayJob", "borrows", borrowed))


@pytest.mark.parametrize("tenant", [True, False], indirect=True)
def test_one_can_do_without_on_purpose(tenant: Tenant) -> None:
    made = tenant.make(workload("RayCluster", "brief", {}, labels={OFF_LABEL: "off"}))
    assert "gcsFaultToleranceOptions" not in made["spec"]
    rocks = {"gcsFaultToleranceOptions": {"backend": "rocksdb"}}
    assert tenant.make(workload("RayCluster", "rocks", rocks))["spec"] == rocks
