"""What admission inside makes of Ray workloads, for every scheduler, judged by a real API server."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import yaml

from atoll.cluster import kinds
from atoll.cluster.client import Cluster, Object
from atoll.domain.names import RAY_NAMESPACE
from atoll.domain.ray_clusters import ray_cluster_manifest
from atoll.errors import (
    ForbiddenError,
    InvalidError,
)
from atoll.hosts.sandbox import charts
from atoll.resources.virtual_clusters import RayClusterSpec
from atoll_worker.reconcile.policies.everything import policy_manifests
from atoll_worker.reconcile.policies.manifests import Enforced
from atoll_worker.reconcile.schedulers import ADAPTERS
from atoll_worker.reconcile.schedulers.adapter import SchedulerAdapter
from atoll_worker.reconcile.schedulers.policies import gang_policies, queue_rule
from builders.policies_in_force import await_policies
from conftest import run_api_server
from e2e.kube import Kube

QUEUE = "team-blue"
CRDS = charts.SOURCES / "kuberay-operator" / "crds"
POLICIES = (kinds.VALIDATING_BINDING, kinds.MUTATING_BINDING,
            kinds.VALIDATING_POLICY, kinds.MUTATING_POLICY)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An API server with KubeRay's kinds, apart from that of the other tests: policies hold for all."""
    yield from run_api_server(tmp_path_factory.mktemp("ray-api"))


def ray(name: str = "main", kind: str = "RayCluster") -> Object:
    """A Ray workload of somebody who knows nothing of schedulers."""
    made = ray_cluster_manifest(
        RayClusterSpec(name=name), team="blue", virtual_cluster="demo",
        ray_version="2.60.0", image="ray:2.60.0",
    )  # fmt: skip
    spec = {"RayCluster": made["spec"], "RayJob": {"rayClusterSpec": made["spec"]},
            "RayService": {"rayClusterConfig": made["spec"]}}[kind]  # fmt: skip
    meta = {"name": name, "namespace": RAY_NAMESPACE}
    return {"apiVersion": "ray.io/v1", "kind": kind, "metadata": meta, "spec": spec}


class Site:
    """The API server with the policies of one scheduler."""

    def __init__(self, cluster: Cluster, kube: Kube, adapter: SchedulerAdapter) -> None:
        self.cluster, self.kube, self.adapter = cluster, kube, adapter

    async def put(self, *, mutate: bool) -> None:
        """The policies, and a wait until they hold."""
        required = queue_rule(self.adapter.facts, QUEUE)
        facts = self.adapter.facts
        enforced = Enforced(
            QUEUE, "demo", required, scheduler=facts, mutating="v1" if mutate else None
        )
        wanted = policy_manifests(enforced, {})
        wanted += gang_policies(self.adapter.facts, QUEUE, {}, mutate=mutate)
        for manifest in wanted:
            await self.cluster.apply(manifest)
        await asyncio.to_thread(await_policies, self.kube)

    def labelled(self, manifest: Object) -> Object:
        """As somebody makes it who does all that the scheduler wants."""
        meta, facts = manifest["metadata"], self.adapter.facts
        if manifest["kind"] != "RayCluster":
            meta["labels"] = {facts.queue_label: facts.queue_value(QUEUE)}
            return manifest
        meta["labels"] = facts.labels(QUEUE)
        return manifest

    async def make(self, manifest: Object) -> Object:
        """Created, read and deleted again."""
        made = await self.cluster.create(manifest)
        await self.cluster.delete(kinds.kind_of(made), made["metadata"]["name"], RAY_NAMESPACE)
        return made

    async def refusal(self, manifest: Object) -> str:
        try:
            await self.make(manifest)
        except (ForbiddenError, InvalidError) as error:
            return error.detail
        return ""


@pytest.fixture(params=sorted(ADAPTERS))
async def site(request: pytest.FixtureRequest, server: Path) -> AsyncIterator[Site]:
    async with Cluster.from_file(server) as cluster:
        namespace: Object = {"apiVersion": "v1", "kind": "Namespace"}
        await cluster.apply({**namespace, "metadata": {"name": RAY_NAMESPACE}})
        for file in sorted(CRDS.iterdir()):
            await cluster.apply(yaml.safe_load(file.read_text()))
        yield Site(cluster, Kube.from_file(server), ADAPTERS[request.param])
        for kind in POLICIES:
            for found in await cluster.items(kind):
                if found["metadata"]["name"].startswith("atoll-"):
                    await cluster.delete(kind, found["metadata"]["name"])


async def test_whoever_makes_it_gets_queue_and_gang(site: Site) -> None:
    await site.put(mutate=True)
    facts = site.adapter.facts
    for kind in ("RayCluster", "RayJob", "RayService"):
        for labels in ({}, {facts.queue_label: "other"}):
            sly = ray("mine", kind)
            sly["metadata"]["labels"] = labels
            made = await site.make(sly)
            ours = site.labelled(ray("mine", kind))["metadata"]["labels"]
            assert made["metadata"]["labels"].items() >= ours.items()


def ray_pod(uid: str, labels: dict[str, str], notes: dict[str, str]) -> Object:
    """A worker as KubeRay makes it, with what the tenant put into its template."""
    owner = {"apiVersion": "ray.io/v1", "kind": "RayCluster", "name": "main", "uid": uid,
             "controller": True}  # fmt: skip
    return {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": "worker", "namespace": RAY_NAMESPACE, "annotations": notes,
            "labels": {"ray.io/cluster": "main", **labels}, "ownerReferences": [owner],
        },
        "spec": {"containers": [{"name": "c", "image": "ray"}]},
    }  # fmt: skip


async def test_a_ray_pod_is_of_the_gang_of_its_ray_cluster_whatever_its_template_says(
    site: Site,
) -> None:
    facts = site.adapter.facts
    if not facts.identity_label:
        pytest.skip(f"{facts.name} tells gangs apart by KubeRay's own groups")
    await site.put(mutate=True)
    spoofed = {facts.identity_label: "another", facts.queue_label: "root.other", "mine": "x"}
    notes = {"kept": "yes", **dict.fromkeys(facts.pod_annotations, "gangSchedulingStyle=Soft")}
    for uid in ("1", "2"):  # the same name in another life is another gang
        made = await site.make(ray_pod(uid, spoofed, notes))
        assert made["metadata"]["labels"].items() >= {
            facts.identity_label: f"ray-{uid}", facts.queue_label: facts.queue_value(QUEUE),
            "mine": "x",
        }.items()  # fmt: skip
        assert made["metadata"]["annotations"] == {"kept": "yes", **facts.pod_annotations}
    stranger = ray_pod("1", spoofed, notes)
    del stranger["metadata"]["labels"]["ray.io/cluster"]
    assert (await site.make(stranger))["metadata"]["annotations"] == notes


async def test_a_job_does_not_say_what_the_gang_is(site: Site) -> None:
    """KubeRay would copy it to every RayCluster of the job, one for each try."""
    await site.put(mutate=True)
    facts = site.adapter.facts
    for label in facts.gang_labels:
        job = ray("job", "RayJob")
        job["metadata"]["labels"] = {label: "x"}
        assert f"Remove the label {label}" in await site.refusal(job)
    if facts.gang_annotation:
        sly = ray("job-x7k2p")
        sly["metadata"]["annotations"] = {facts.gang_annotation: "[]"}
        assert f"Remove the annotation {facts.gang_annotation}" in await site.refusal(sly)


async def test_where_nothing_is_set_it_is_asked_for_in_words(site: Site) -> None:
    await site.put(mutate=False)
    facts = site.adapter.facts
    for kind in ("RayCluster", "RayJob", "RayService"):
        words = await site.refusal(ray(kind=kind))
        assert "Set the label" in words
        assert await site.refusal(site.labelled(ray(kind=kind))) == ""
        spoofed = site.labelled(ray(kind=kind))
        spoofed["metadata"]["labels"][facts.queue_label] = "other"
        words = await site.refusal(spoofed)
        assert f"Set the label {facts.queue_label} to {facts.queue_value(QUEUE)}" in words
    ours = ray_cluster_manifest(
        RayClusterSpec(name="ours"), team="blue", virtual_cluster="demo", scheduler=facts.name,
        ray_version="2.60.0", image="ray:2.60.0",
    )  # fmt: skip
    assert await site.refusal(ours) == ""
