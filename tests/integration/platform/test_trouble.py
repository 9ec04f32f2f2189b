"""Things go wrong while a virtual cluster is made and removed; nothing is lost, nothing stays behind."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import redis

from atoll.cluster.client import Cluster
from atoll.cluster.kinds import (
    CLUSTER_ROLE,
    CLUSTER_ROLE_BINDING,
    CONFIG_MAP,
    LEASE,
    NAMESPACE,
    NODE,
    PERSISTENT_VOLUME_CLAIM,
    RESOURCE_QUOTA,
    SECRET,
    SERVICE,
    STATEFUL_SET,
    TEAM,
    VIRTUAL_CLUSTER,
    Kind,
)
from atoll.contract.virtual_clusters import VirtualClusterCreate
from atoll.settings import Settings
from atoll_worker.adapters.helm import HelmReleases
from atoll_worker.adapters.redis_store import RedisStores
from atoll_worker.reconcile.runner import Runner
from atoll_worker.reconcile.steps import all_steps
from builders.sandbox_site import Site, children, ready, until
from builders.site_figures import Counted, agent, counted, host_memory

pytestmark = pytest.mark.sandbox
VOLUME = Kind("", "v1", "PersistentVolume", "persistentvolumes", False)
LEASES, QUEUE_AGE = "atoll_lease_changes_total", "atoll_queue_age_seconds"
IDLE_BYTES = 400 * 2**20
"""Most that a virtual cluster without Ray clusters may take of this machine, as promised for the sandbox."""

SWEPT_SECONDS = 100.0
"""The worker sweeps each minute."""


def resource(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    meta = {"name": name}
    return {"apiVersion": "atoll.dev/v1alpha1", "kind": kind, "metadata": meta, "spec": spec}


def wish(**spec: Any) -> dict[str, Any]:
    return {
        "team": "blue",
        "profile": "default",
        "mode": "dedicated",
        "replicaSets": {"4c8g": 1},
        "quota": {"cpu": "2", "memory": "4Gi"},
        **spec,
    }


@pytest.fixture
async def cluster(site: Site) -> AsyncIterator[Cluster]:
    """The host, with a team; every virtual cluster of the test is gone at the end."""
    async with site.cluster() as found:
        quota = {"cpu": {"limit": "12"}, "memory": {"limit": "24Gi"}}
        await found.apply(resource("Team", "blue", {"quota": quota}))
        yield found
        for left in await found.items(VIRTUAL_CLUSTER):
            name = left["metadata"]["name"]
            await found.delete(VIRTUAL_CLUSTER, name)
            await until(found, name, lambda item: item is None)


async def revisions(cluster: Cluster, namespace: str) -> dict[str, str]:
    """name -> resourceVersion of everything we write for one virtual cluster on the host."""
    found: dict[str, str] = {}
    for kind in (SECRET, CONFIG_MAP, SERVICE, STATEFUL_SET, RESOURCE_QUOTA, LEASE):
        space = "atoll-system" if kind is LEASE else namespace
        for item in await cluster.items(kind, space):
            found[f"{kind.kind}/{item['metadata']['name']}"] = item["metadata"]["resourceVersion"]
    for item in await cluster.items(VIRTUAL_CLUSTER):
        found[f"VirtualCluster/{item['metadata']['name']}"] = item["metadata"]["resourceVersion"]
    return found


async def settled(cluster: Cluster, namespace: str) -> dict[str, str]:
    """The revisions once nothing has moved for 4 s: looks that were under way have ended."""
    before, since = await revisions(cluster, namespace), time.monotonic()
    while time.monotonic() - since < 4:
        await asyncio.sleep(0.5)
        now = await revisions(cluster, namespace)
        if now != before:
            before, since = now, time.monotonic()
    return before


async def test_kubectl_apply_is_enough_and_a_second_look_writes_nothing(
    site: Site, cluster: Cluster
) -> None:
    idle = host_memory(site)
    await cluster.create(resource("VirtualCluster", "applied", wish()))
    await until(cluster, "applied", ready)
    before = await settled(cluster, "vc-applied")
    more = taken(idle, host_memory(site), agent(site))
    assert more < IDLE_BYTES, f"an idle virtual cluster takes {more / 2**20:.0f} MiB"
    settings = Settings(kubeconfig=site.kubeconfig, reach="kubeconfig", charts=site.charts)
    releases = HelmReleases(str(site.helm), site.charts)
    runner = Runner(cluster, settings, releases, RedisStores(), all_steps())
    assert [await runner.look("applied") for _ in range(2)] == ["converged", "converged"]
    assert await revisions(cluster, "vc-applied") == before


def taken(before: dict[int, int], after: dict[int, int], grows: int) -> int:
    """Bytes of the processes that came, and those by which the process `grows` did."""
    came = sum(size for pid, size in after.items() if pid not in before)
    assert came, "a virtual cluster has processes of its own"
    return came + max(0, after[grows] - before[grows])


async def test_a_worker_killed_at_every_step_is_followed_by_another(
    site: Site, cluster: Cluster
) -> None:
    await cluster.create(resource("VirtualCluster", "killed", wish()))
    killed_at: set[str] = set()
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        found = await cluster.get(VIRTUAL_CLUSTER, "killed")
        if ready(found):
            break
        steps = (found.get("status") or {}).get("steps", [])
        under_way = {s["name"] for s in steps if s["state"] in ("running", "done")} - killed_at
        if under_way:
            killed_at |= under_way
            site.kill("worker")  # the keeper starts another
        await asyncio.sleep(0.1)
    found = await until(cluster, "killed", ready)
    assert found
    assert len(killed_at) >= 5
    assert site.restarts("worker") >= 1  # one kill often falls into several steps at once
    assert found["status"]["fence"] > 1


async def test_a_helm_that_is_killed_half_way_is_finished(site: Site, cluster: Cluster) -> None:
    await cluster.create(resource("VirtualCluster", "helmless", wish()))
    killed, deadline = 0, time.monotonic() + 120
    while killed < 4 and time.monotonic() < deadline:
        for pid in helm_processes(site):
            os.kill(pid, signal.SIGKILL)
            killed += 1
        if ready(await cluster.get(VIRTUAL_CLUSTER, "helmless")):
            break
        await asyncio.sleep(0.02)
    assert killed
    await until(cluster, "helmless", ready)


def helm_processes(site: Site) -> list[int]:
    found = []
    for pid in site.pids("worker"):
        for child in children(pid):
            try:
                if Path(f"/proc/{child}/exe").readlink().name == "helm":
                    found.append(child)
            except OSError:
                continue
    return sorted(set(found))


async def test_without_the_queue_the_api_accepts_and_says_so_and_work_goes_on_later(
    site: Site, cluster: Cluster
) -> None:
    site.kill("redis")
    try:
        body = VirtualClusterCreate.model_validate({"name": "queueless", "spec": wish()})
        with site.client() as client:
            made = await asyncio.to_thread(client.virtual_clusters.create, body)
            assert made.operation.warning
            assert client.health().status == "degraded"
    finally:
        await asyncio.to_thread(site.up)
    found = await until(
        cluster, "queueless", lambda vc: bool((vc or {}).get("status", {}).get("steps"))
    )
    assert found
    broker = redis.Redis.from_url(site.broker)
    broker.flushall()  # everything that was queued is forgotten
    broker.close()
    await until(cluster, "queueless", ready)


async def test_when_the_hosts_api_server_restarts_all_of_us_come_back(
    site: Site, cluster: Cluster
) -> None:
    before = {p: site.pids(p)[0] for p in ("api", "gateway", "worker", "follower")}
    await cluster.create(resource("VirtualCluster", "restarted", wish()))
    site.kill_host_api_server()
    await asyncio.to_thread(site.up)
    await until(cluster, "restarted", ready)
    assert {p: site.pids(p)[0] for p in before} == before  # nobody died of it


async def test_delete_leaves_nothing_even_while_creating(site: Site, cluster: Cluster) -> None:
    await cluster.create(resource("VirtualCluster", "short", wish()))
    await until(cluster, "short", lambda vc: bool((vc or {}).get("status", {}).get("nodes")))
    await cluster.delete(VIRTUAL_CLUSTER, "short")
    await until(cluster, "short", lambda vc: vc is None)
    assert await traces(cluster, "short") == []


async def test_delete_of_a_ready_one_leaves_nothing(site: Site, cluster: Cluster) -> None:
    spec = {"name": "r", "workers": 1, "headCpu": "500m", "workerCpu": "500m",
            "headMemory": "1Gi", "workerMemory": "1Gi"}  # fmt: skip
    idle = counted(site, "worker")
    await cluster.create(resource("VirtualCluster", "whole", wish(rayClusters=[spec])))
    found = await until(cluster, "whole", ready, 240)
    made = counted(site, "worker")
    steps = [step["name"] for step in (found or {})["status"]["steps"]]
    assert {"redis", "control-plane", "policies", "ray-clusters", "probe"} <= set(steps)
    assert_steps_moved(idle, made, steps)
    assert made(LEASES) > idle(LEASES)
    assert made(f"{QUEUE_AGE}_count") > idle(f"{QUEUE_AGE}_count")
    assert made(f"{QUEUE_AGE}_sum") > idle(f"{QUEUE_AGE}_sum")
    kept = await on_disk(site, cluster, "vc-whole")
    assert len(kept) >= 2  # of the control plane and of Redis, whose keys are there
    await cluster.delete(VIRTUAL_CLUSTER, "whole")
    await until(cluster, "whole", lambda vc: vc is None)
    assert await traces(cluster, "whole") == []
    assert_steps_moved(made, counted(site, "worker"), steps)
    await gone_from_disk(kept)


def assert_steps_moved(before: Counted, after: Counted, steps: list[str]) -> None:
    """Every step was counted as done, with its time."""
    for step in steps:
        for number in ("count", "sum"):
            name = f"atoll_step_duration_seconds_{number}"
            was, now = (found(name, step=step, outcome="done") for found in (before, after))
            assert now > was, (step, number)


async def on_disk(site: Site, cluster: Cluster, namespace: str) -> list[Path]:
    """Where the volumes of a namespace's claims are."""
    claims = await cluster.items(PERSISTENT_VOLUME_CLAIM, namespace)
    return [site.root / "sandbox" / "volumes" / claim["metadata"]["uid"] for claim in claims]


async def gone_from_disk(folders: list[Path]) -> None:
    """A provisioner removes them a moment after their claims."""
    deadline = time.monotonic() + 60
    while left := [folder for folder in folders if folder.exists()]:
        assert time.monotonic() < deadline, left
        await asyncio.sleep(0.2)


async def traces(cluster: Cluster, name: str) -> list[str]:
    """Everything on the host that still speaks of a virtual cluster."""
    found = []
    for kind in (NAMESPACE, CLUSTER_ROLE, CLUSTER_ROLE_BINDING):
        names = [item["metadata"]["name"] for item in await cluster.items(kind)]
        found += [
            f"{kind.kind} {n}" for n in names if n == f"vc-{name}" or n.startswith(f"vc-{name}-")
        ]
    secrets = [item["metadata"]["name"] for item in await cluster.items(SECRET, "atoll-access")]
    found += [f"Secret {n}" for n in secrets if n.endswith(f"-{name}")]
    claims = await cluster.items(PERSISTENT_VOLUME_CLAIM, f"vc-{name}")
    found += [f"PersistentVolumeClaim {claim['metadata']['name']}" for claim in claims]
    # The keys of its own Redis are in such a claim; those in another's are test_external_redis.py's.
    found += [f"PersistentVolume {volume}" for volume in await volumes_left(cluster, f"vc-{name}")]
    nodes = await cluster.items(NODE, labels={"atoll.dev/virtual-cluster": name})
    found += [f"Node {n['metadata']['name']}" for n in nodes]
    ledger = (await cluster.get(TEAM, "blue"))["status"]["reservations"]
    found += [f"reservation {key}" for key in ledger if key.partition("/")[0] == name]
    if await cluster.find(VIRTUAL_CLUSTER, name):
        found.append("the VirtualCluster itself")
    # The last, for they have the time of a sweep to go, and nothing else has.
    found += [f"Lease {lease}" for lease in await leases_left(cluster, name)]
    return found


async def leases_left(cluster: Cluster, name: str) -> list[str]:
    """Its leases, once the worker has had its time to sweep: a look that began before the deletion
    may have made one anew.
    """
    deadline = time.monotonic() + SWEPT_SECONDS
    while True:
        names = [item["metadata"]["name"] for item in await cluster.items(LEASE, "atoll-system")]
        left = [n for n in names if n.endswith(f"-{name}")]
        if not left or time.monotonic() > deadline:
            return left
        await asyncio.sleep(0.2)


async def volumes_left(cluster: Cluster, namespace: str) -> list[str]:
    """The volumes of a namespace's claims, once the provisioner has had its time to remove them."""
    deadline = time.monotonic() + 60
    while True:
        left = [
            volume["metadata"]["name"]
            for volume in await cluster.items(VOLUME)
            if (volume["spec"].get("claimRef") or {}).get("namespace") == namespace
        ]
        if not left or time.monotonic() > deadline:
            return left
        await asyncio.sleep(0.2)
