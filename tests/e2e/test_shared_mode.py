"""Shared virtual clusters on a real host: gangs scheduled by the host's Volcano, and no way around it."""

import time
from collections.abc import Iterator
from typing import Any

import pytest

from atoll.domain.names import RAY_NAMESPACE, pod_group_name
from atoll.domain.ray_clusters import ray_cluster_manifest, ray_image
from atoll.resources.virtual_clusters import RayClusterSpec
from e2e.clusters import Clusters, small_ray
from e2e.figures import Figures
from e2e.kube import Kube, Object
from e2e.local import Local, kill_tree
from waiting import until

NAMES = ("pool-a", "pool-b")
QUOTA = {"cpu": "1500m", "memory": "5Gi"}
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
GANGS = "/apis/scheduling.volcano.sh/v1beta1"
IMAGE = "mirror.gcr.io/library/alpine:3.20"
SIZES = (20, 8, 5, 4, 3, 3, 2)
"""45 pods of 50m CPU each where 30 have room: 150 % of the quota."""


def rays(namespace: str = RAY_NAMESPACE) -> str:
    return f"/apis/ray.io/v1/namespaces/{namespace}/rayclusters"


def groups(namespace: str = RAY_NAMESPACE) -> str:
    return f"{GANGS}/namespaces/{namespace}/podgroups"


def pods(namespace: str = RAY_NAMESPACE) -> str:
    return f"/api/v1/namespaces/{namespace}/pods"


@pytest.fixture(scope="module")
def pools(platform: Local, figures: Figures) -> Iterator[Clusters]:
    """Two shared virtual clusters of two teams, made at once; gone, and proven gone, at the end."""
    made = Clusters(platform, figures)
    began = time.monotonic()
    try:
        for name in NAMES:
            made.ask(name, mode="shared", amounts=QUOTA)
        for name in NAMES:
            made.ready(name)
        seconds = time.monotonic() - began
        figures.note(f"two shared virtual clusters at once: Ready after {seconds:.1f} s")
        yield made
    finally:
        made.remove_all()


def ray(platform: Local, spec: RayClusterSpec, name: str = "pool-a") -> Object:
    with platform.client() as client:
        part = client.profiles.get("default").spec
    return ray_cluster_manifest(
        spec, team=name, virtual_cluster=name, ray_version=part.ray.version,
        image=ray_image(part.ray.image, part.ray.version, part.registry),
    )  # fmt: skip


def group(name: str, members: int) -> Object:
    spec = {"minMember": members, "queue": "team-pool-a"}
    return {
        "apiVersion": "scheduling.volcano.sh/v1beta1",
        "kind": "PodGroup",
        "metadata": {"name": name},
        "spec": spec,
    }


def member(name: str, gang: str | None, **spec: Any) -> Object:
    """A small pod that sleeps."""
    container = {
        "name": "sleeper", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", "3600"],
        "resources": {"requests": {"cpu": "50m", "memory": "16Mi"}},
    }  # fmt: skip
    notes = {"scheduling.k8s.io/group-name": gang} if gang else {}
    default = {"schedulerName": "volcano", "terminationGracePeriodSeconds": 0}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "annotations": notes},
        "spec": {**default, "containers": [container], **spec},
    }


def on_host(pools: Clusters, name: str, gang: str) -> list[Object]:
    """Host pods of a gang."""
    return [
        pod
        for pod in pools.stage.host.items(f"/api/v1/namespaces/vc-{name}/pods")
        if (pod["metadata"].get("annotations") or {}).get("scheduling.k8s.io/group-name") == gang
    ]


def fill(inside: Kube, name: str, members: int, cpu: str) -> None:
    """A gang of sleeping pods of this size."""
    assert inside.create(groups(), group(name, members)).status_code == 201
    for number in range(members):
        body = member(f"{name}-{number}", name)
        body["spec"]["containers"][0]["resources"]["requests"]["cpu"] = cpu
        assert inside.create(pods(), body).status_code == 201


def bound(pools: Clusters, name: str, gang: str) -> list[str]:
    """Those of them that have a node."""
    found = on_host(pools, name, gang)
    return [pod["metadata"]["name"] for pod in found if pod["spec"].get("nodeName")]


def words(kube: Kube, name: str, namespace: str = RAY_NAMESPACE) -> str:
    """Why a gang waits, as users see it inside."""
    status = (kube.get(f"{groups(namespace)}/{name}") or {}).get("status") or {}
    said = [c for c in status.get("conditions", []) if c["type"] == "Unschedulable"]
    return str(said[-1].get("message", "")) if said else ""


def test_a_gang_too_large_waits_whole_while_a_smaller_one_runs(
    platform: Local, pools: Clusters, figures: Figures
) -> None:
    inside = pools.stage.inside("pool-a")
    fill(inside, "filler", 2, "350m")
    # Volcano keeps room for a gang that it has let into its queue: the filler must be placed before.
    until(lambda: len(bound(pools, "pool-a", "filler")) == 2, "the filler is placed", 60)
    # Within the quota, for what can never fit is refused at once; but not beside the filler.
    large = RayClusterSpec(name="large", workers=4, head_cpu="500m", head_memory="1Gi",
                           worker_cpu="200m", worker_memory="256Mi")  # fmt: skip
    answer = inside.create(rays(), ray(platform, large))
    assert answer.status_code == 201, answer.text
    until(lambda: len(on_host(pools, "pool-a", pod_group_name("large"))) == 5, "5 pods wait", 90)
    until(lambda: words(inside, pod_group_name("large")), "the host's scheduler says why", 60)
    figures.note(f"shared: gang of 5 over the quota: {words(inside, pod_group_name('large'))}")

    began = time.monotonic()
    small = ray(platform, small_ray("small"))
    assert inside.create(rays(), small).status_code == 201
    until(
        lambda: (inside.get(f"{rays()}/small") or {}).get("status", {}).get("state") == "ready",
        "the small Ray cluster is ready", 240,
    )  # fmt: skip
    figures.note(f"shared: a smaller gang, made later, ran after {time.monotonic() - began:.1f} s")
    assert len(bound(pools, "pool-a", pod_group_name("small"))) == 2
    assert bound(pools, "pool-a", pod_group_name("large")) == []
    for name in ("large", "small"):
        inside.delete(f"{rays()}/{name}")
    for number in range(2):
        inside.delete(f"{pods()}/filler-{number}?gracePeriodSeconds=0")
    inside.delete(f"{groups()}/filler")
    until(lambda: not inside.items(rays()), "the Ray clusters are gone", 120)
    host_groups = f"{GANGS}/namespaces/vc-pool-a/podgroups"
    until(lambda: not pools.stage.host.items(host_groups), "their gangs are gone on the host", 60)


def slip_in(inside: Kube, body: Object) -> None:
    """Make a pod as it is written: the owner takes away the policies that would put it right."""
    deadline, name = time.monotonic() + 60, body["metadata"]["name"]
    while True:
        for kind in ("mutating", "validating"):
            inside.delete(f"{ADMISSION}/{kind}admissionpolicybindings/atoll-pods")
        made = inside.create(pods(), body)
        if made.status_code == 201:
            notes = made.json()["metadata"].get("annotations") or {}
            if notes == body["metadata"]["annotations"]:
                return
            inside.delete(f"{pods()}/{name}?gracePeriodSeconds=0")
        assert time.monotonic() < deadline, f"the policies inside do not go: {made.text}"
        time.sleep(0.5)


SPOOFS: dict[str, dict[str, Any]] = {
    "queue": {"annotations": {"scheduling.volcano.sh/queue-name": "vc-pool-b"}},
    "default queue": {"annotations": {"scheduling.volcano.sh/queue-name": "default"}},
    "queue label": {"labels": {"volcano.sh/queue-name": "team-pool-b"}},
    "preemptable": {"annotations": {"volcano.sh/preemptable": "false"}},
    "priority": {"spec": {"priorityClassName": "system-cluster-critical"}},
    "toleration": {"spec": {"tolerations": [{"operator": "Exists"}]}},
    "scheduler": {"spec": {"schedulerName": "mine"}},
    "scheduler, though the host has it": {"spec": {"schedulerName": "default-scheduler"}},
    "node": {"spec": {"nodeSelector": {"kubernetes.io/hostname": "host-1"}}},
}


@pytest.mark.parametrize("what", SPOOFS)
def test_a_pod_cannot_choose_its(pools: Clusters, what: str) -> None:
    inside, change = pools.stage.inside("pool-a"), SPOOFS[what]
    sly = member("sly", "sly", **change.get("spec", {}))
    sly["metadata"]["annotations"] |= change.get("annotations", {})
    sly["metadata"]["labels"] = change.get("labels", {})
    slip_in(inside, sly)
    events = f"/api/v1/namespaces/{RAY_NAMESPACE}/events?fieldSelector=involvedObject.name%3Dsly"

    def refused() -> str:
        said = [e["message"] for e in inside.items(events) if e["reason"] == "SyncError"]
        return said[-1] if said else ""

    try:
        until(refused, "the host refuses the pod in words", 60)
        # Some break a rule of both policies; which of the two answers is the API server's choice.
        policies = ("atoll-shared-pods", "atoll-tenant-pods")
        assert any(policy in refused() for policy in policies), refused()
        assert on_host(pools, "pool-a", "sly") == []
    finally:
        inside.delete(f"{pods()}/sly")
        until(lambda: inside.get(f"{pods()}/sly") is None, "the pod is gone inside", 60)
        inside.send("DELETE", f"/api/v1/namespaces/{RAY_NAMESPACE}/events")


def test_a_pod_cannot_bind_itself(pools: Clusters) -> None:
    inside = pools.stage.inside("pool-a")
    node = inside.items("/api/v1/nodes")[0]["metadata"]["name"]
    slip_in(inside, member("sly", "sly", nodeName=node))
    time.sleep(3)  # long enough for the syncer to try
    assert on_host(pools, "pool-a", "sly") == []
    inside.delete(f"{pods()}/sly?gracePeriodSeconds=0")
    until(lambda: inside.get(f"{pods()}/sly") is None, "the pod is gone inside", 60)


def test_a_second_gang_of_one_name_is_refused_with_the_reason(pools: Clusters) -> None:
    inside = pools.stage.inside("pool-a")
    inside.create("/api/v1/namespaces", {"metadata": {"name": "other"}})
    for place in (RAY_NAMESPACE, "other"):
        until(
            lambda place=place: inside.get(
                f"/api/v1/namespaces/{place}/serviceaccounts/default"
            ),
            "pods can be made there", 30,
        )  # fmt: skip
        assert inside.create(groups(place), group("twin", 1)).status_code == 201
        assert inside.create(pods(place), member("twin-0", "twin")).status_code == 201
        if place == RAY_NAMESPACE:
            until(lambda: bound(pools, "pool-a", "twin"), "the first is placed", 60)
    until(lambda: "another name" in words(inside, "twin", "other"), "the second is refused", 60)
    until(lambda: len(bound(pools, "pool-a", "twin")) == 1, "only the first has a node", 10)
    inside.delete("/api/v1/namespaces/other")
    inside.delete(f"{pods()}/twin-0")
    inside.delete(f"{groups()}/twin")


def test_gangs_that_come_while_the_mirror_is_dead_are_mirrored_after(
    platform: Local, pools: Clusters, figures: Figures
) -> None:
    platform.end_keeper()
    for process in ("follower", "worker"):
        kill_tree(platform.pid(process))
    for name in NAMES:
        inside = pools.stage.inside(name)
        assert inside.create(groups(), group("during", 1)).status_code == 201
        assert inside.create(pods(), member("during-0", "during")).status_code == 201
    ran = platform.up(demo=False)
    assert ran.code == 0, ran.err
    began = time.monotonic()
    for name in NAMES:
        until(lambda name=name: bound(pools, name, "during"), f"{name}'s gang is placed", 60)
    figures.note(
        f"shared: mirror killed; gangs placed {time.monotonic() - began:.1f} s after restart"
    )
    for name in NAMES:
        inside = pools.stage.inside(name)
        inside.delete(f"{pods()}/during-0")
        inside.delete(f"{groups()}/during")


def test_no_gang_is_ever_partly_placed_at_half_as_much_again_as_there_is_room_for(
    pools: Clusters, figures: Figures
) -> None:
    inside, wanted = pools.stage.inside("pool-a"), {f"g{i}": n for i, n in enumerate(SIZES)}
    for gang, size in wanted.items():
        assert inside.create(groups(), group(gang, size)).status_code == 201
        for number in range(size):
            made = inside.create(pods(), member(f"{gang}-{number}", gang))
            assert made.status_code == 201, made.text
    finished: set[str] = set()
    rounds = 0
    while len(finished) < len(wanted):
        rounds += 1
        whole, partial, free = settled(
            pools, {g: n for g, n in wanted.items() if g not in finished}
        )
        assert not partial, f"partly placed: {partial}"
        assert whole, f"nothing is placed of {set(wanted) - finished}"
        assert free >= 0
        for gang in whole:
            for number in range(wanted[gang]):
                inside.delete(f"{pods()}/{gang}-{number}")
            inside.delete(f"{groups()}/{gang}")
            finished.add(gang)
        until(
            lambda gone=whole: not any(on_host(pools, "pool-a", gang) for gang in gone),
            "finished gangs are gone", 120,
        )  # fmt: skip
    figures.note(f"shared: {len(wanted)} gangs of {min(SIZES)} to {max(SIZES)} at 150 %: "
                 f"none partly placed, all ran in {rounds} rounds")  # fmt: skip
    assert rounds > 1


def settled(pools: Clusters, sizes: dict[str, int]) -> tuple[list[str], dict[str, int], int]:
    """(gangs placed whole, gangs placed in part, room left in pods) once nothing has moved for 5 s."""
    deadline, since, before = time.monotonic() + 120, time.monotonic(), None
    while time.monotonic() < deadline:
        now = {gang: len(bound(pools, "pool-a", gang)) for gang in sizes}
        if now != before:
            before, since = now, time.monotonic()
        elif any(now.values()) and time.monotonic() - since > 5:
            break
        time.sleep(0.5)
    assert before is not None
    whole = [gang for gang, count in before.items() if count == sizes[gang]]
    partial = {gang: count for gang, count in before.items() if 0 < count < sizes[gang]}
    return whole, partial, 30 - sum(before.values())
