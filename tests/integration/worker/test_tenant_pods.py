"""What a copied pod may be on the host: each way out of queue, node, priority and scheduler, tried."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from atoll.cluster import bootstrap
from atoll.cluster.client import Cluster
from atoll.cluster.kinds import kind_of
from atoll.domain.gangs import CLAIMS_LIMIT, claim_bytes, written_claims
from atoll.domain.schedulers import SCHEDULERS
from atoll.settings import Settings
from e2e.kube import Kube, Object
from waiting import until

NAMESPACES = "/api/v1/namespaces"
Change = Callable[[Object], Any]


@pytest.fixture
async def host(host_file: Path) -> Kube:
    async with Cluster.from_file(host_file) as cluster:
        await bootstrap.install(cluster, Settings())
    kube = Kube.from_file(host_file)
    for name, mode in (("vc-a", "dedicated"), ("vc-s", "shared")):
        notes = {"atoll.dev/nodes": "n1,n2", "atoll.dev/priority-classes": "usual"}
        labels = {
            "atoll.dev/virtual-cluster": name[3:], "atoll.dev/team": "red", "atoll.dev/mode": mode,
        }  # fmt: skip
        meta = {"name": name, "labels": labels, "annotations": notes}
        kube.create(NAMESPACES, {"metadata": meta})
    for name in ("usual", "top"):
        body = {"metadata": {"name": name}, "value": 7}
        kube.create("/apis/scheduling.k8s.io/v1/priorityclasses", body)
    until(lambda: said(kube, pod(node="n9")), "the policy holds", 30)
    until(lambda: tried(kube, shared_pod("n1"), "vc-s").status_code == 403, "shared mode's", 30)
    until(lambda: tried(kube, shared_pod(), "vc-s").status_code == 201, "shared mode's", 30)
    return kube


def pod(node: str = "n1") -> Object:
    return {
        "metadata": {
            "name": "rays-head-x-ray-x-a",
            "labels": {"vcluster.loft.sh/managed-by": "a"}, "annotations": {},
        },
        "spec": {
            "nodeName": node, "schedulerName": "volcano",
            "containers": [{"name": "c", "image": "c", "resources": {"limits": {"nvidia.com/gpu": "1"}}}],
        },
    }  # fmt: skip


FITTED = {"memory": "64Mi", "ephemeral-storage": "1Gi"}
"""Requests and limits alike."""


def shared_pod(node: str = "") -> Object:
    """One that Volcano places on the shared nodes, in the queue of its virtual cluster."""
    body = pod(node)
    body["spec"]["containers"][0]["resources"] |= {
        "requests": dict(FITTED), "limits": {"nvidia.com/gpu": "1", **FITTED},
    }  # fmt: skip
    if not node:
        del body["spec"]["nodeName"]
    body["metadata"]["annotations"] = {"scheduling.volcano.sh/queue-name": "vc-s"}
    body["spec"]["priorityClassName"] = "atoll-gang"
    body["spec"]["nodeSelector"] = {"atoll.dev/shared": "true"}
    return body


def tried(kube: Kube, body: Object, namespace: str) -> httpx2.Response:
    return kube.create(f"{NAMESPACES}/{namespace}/pods?dryRun=All", body)


def said(kube: Kube, body: Object, namespace: str = "vc-a") -> str:
    """The refusal's words; nothing when it is let in."""
    answer = tried(kube, body, namespace)
    assert answer.status_code in (201, 403), answer.text
    return "" if answer.status_code == 201 else str(answer.json()["message"])


def _note(part: str, key: str, value: str) -> Change:
    return lambda body: body["metadata"][part].update({key: value})


def _spec(**values: Any) -> Change:
    return lambda body: body["spec"].update(values)


REFUSED: dict[str, tuple[Change, str]] = {
    "another's node": (_spec(nodeName="n9"), "node n9 does not belong to virtual cluster a"),
    "no node yet": (lambda body: body["spec"].pop("nodeName"), "does not belong"),
    "another's queue": (
        _note("annotations", "scheduling.volcano.sh/queue-name", "team-blue"), "not in team-blue"),
    "another's queue by label": (
        _note("labels", "volcano.sh/queue-name", "team-blue"), "not in team-blue"),
    "never preempted": (_note("annotations", "volcano.sh/preemptable", "false"), "preemptable"),
    "never preempted by label": (_note("labels", "volcano.sh/preemptable", "false"), "preemptable"),
    "a scheduler of its own": (_spec(schedulerName="mine"), "no scheduler mine"),
    "a priority": (_spec(priorityClassName="top"), "priority class top"),
    "every taint": (_spec(tolerations=[{"operator": "Exists"}]), "every taint"),
    "a taint of others": (
        _spec(tolerations=[{"key": "atoll.dev/virtual-cluster", "value": "b"}]),
        "tolerate atoll.dev/virtual-cluster"),
    "the control plane's taint": (
        _spec(tolerations=[{"key": "node-role.kubernetes.io/control-plane", "operator": "Exists"}]),
        "control-plane"),
    "a taint that it asks for none of": (
        _spec(
            containers=[{"name": "c", "image": "c", "resources": {"limits": {"a.b/reserved": "0"}}}],
            tolerations=[{"key": "a.b/reserved", "operator": "Exists"}]),
        "tolerate a.b/reserved"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_copied_pod_cannot_choose(host: Kube, name: str) -> None:
    change, words = REFUSED[name]
    body = pod()
    change(body)
    assert words in said(host, body)


@pytest.mark.parametrize("scheduler", ["default-scheduler", *SCHEDULERS])
def test_every_scheduler_of_a_profile_may_have_bound_it(host: Kube, scheduler: str) -> None:
    body = pod()
    body["spec"]["schedulerName"] = scheduler
    assert said(host, body) == ""


def test_what_is_its_own_is_let_in(host: Kube) -> None:
    body = pod("n2")
    body["metadata"]["labels"]["volcano.sh/queue-name"] = "team-red"
    body["spec"] |= {
        "priorityClassName": "usual",
        "tolerations": [
            {"key": "nvidia.com/gpu", "operator": "Exists"},
            {"key": "node.kubernetes.io/not-ready", "operator": "Exists"},
            {"key": "atoll.dev/virtual-cluster", "value": "a"},
        ],
    }
    assert said(host, body) == ""


def test_the_platforms_own_pods_are_not_judged(host: Kube) -> None:
    body = pod("n9")
    body["metadata"]["labels"] = {"app": "vcluster"}
    assert said(host, body) == ""


@pytest.mark.parametrize("name", sorted(SCHEDULERS))
def test_every_scheduler_has_its_place(host: Kube, name: str) -> None:
    """Inside a dedicated virtual cluster any of them; on the host those that can serve it."""
    body = pod()
    body["spec"]["schedulerName"] = name
    assert said(host, body) == ""
    body = shared_pod()
    body["spec"]["schedulerName"] = name
    refused = said(host, body, "vc-s")
    assert (refused == "") == SCHEDULERS[name].shared
    # Two policies refuse it, each in its own words; the API server shows those of one.
    words = (f"no scheduler {name}", f"this one has schedulerName {name}")
    assert SCHEDULERS[name].shared or any(part in refused for part in words)


def test_in_shared_mode_the_host_chooses_the_node(host: Kube) -> None:
    body = shared_pod("n1")
    until(lambda: "cannot name its node" in said(host, body, "vc-s"), "shared mode's holds", 30)
    del body["spec"]["nodeName"]
    assert said(host, body, "vc-s") == ""


def of_a_gang(gang: str, namespace: str) -> Object:
    """A member of a gang of a virtual namespace."""
    body = shared_pod()
    body["metadata"]["annotations"] = {"scheduling.k8s.io/group-name": gang}
    body["metadata"]["labels"]["vcluster.loft.sh/namespace"] = namespace
    return body


def test_a_gangs_name_belongs_to_the_namespace_that_is_noted(host: Kube) -> None:
    notes = {"atoll.dev/gangs": written_claims({"rays": "ray", "rays-2": "lab"})}
    host.patch(f"{NAMESPACES}/vc-s", {"metadata": {"annotations": notes}})
    until(lambda: said(host, of_a_gang("rays", "lab"), "vc-s"), "the note is seen", 30)
    refused = said(host, of_a_gang("rays", "lab"), "vc-s")
    assert "namespace ray of this virtual cluster already has a gang rays;" in refused
    for gang, namespace in (("rays", "ray"), ("rays-2", "lab"), ("ays", "lab"), ("new", "lab")):
        assert said(host, of_a_gang(gang, namespace), "vc-s") == ""
    host.patch(f"{NAMESPACES}/vc-s", {"metadata": {"annotations": {"atoll.dev/gangs": None}}})
    until(lambda: not said(host, of_a_gang("rays", "lab"), "vc-s"), "it is given back", 30)


@pytest.mark.parametrize("letters", [20, 253])
def test_a_note_as_long_as_it_may_be_is_read_for_every_pod(host: Kube, letters: int) -> None:
    """The API server gives up, and refuses, where a policy takes too much work."""
    place = "n" * 63
    count = (CLAIMS_LIMIT - 1) // claim_bytes("g" * letters, place)
    names = [f"{at:05}".ljust(letters, "g") for at in range(count)]
    notes = {"atoll.dev/gangs": written_claims(dict.fromkeys(names, place))}
    host.patch(f"{NAMESPACES}/vc-s", {"metadata": {"annotations": notes}})
    try:
        until(lambda: said(host, of_a_gang(names[-1], "lab"), "vc-s"), "the note is seen", 30)
        refused = said(host, of_a_gang(names[-1], "l" * 63), "vc-s")
        assert f"namespace {place} of this virtual cluster already has a gang" in refused
        for gang, namespace in ((names[-1], place), ("f" * letters, "l" * 63)):
            assert said(host, of_a_gang(gang, namespace), "vc-s") == ""
    finally:
        host.patch(f"{NAMESPACES}/vc-s", {"metadata": {"annotations": {"atoll.dev/gangs": None}}})


async def test_a_platform_that_was_removed_can_come_back(host: Kube, host_file: Path) -> None:
    """A policy with a built-in kind as its parameter would refuse everything from then on."""
    async with Cluster.from_file(host_file) as cluster:
        for file in bootstrap.POLICIES:
            for manifest in yaml.safe_load_all(file.read_text()):
                await cluster.delete(kind_of(manifest), manifest["metadata"]["name"])
        until(lambda: not said(host, pod(node="n9")), "no policy is left", 30)
        time.sleep(3)  # beyond the API server's look at its policies, each second
        await bootstrap.install(cluster, Settings())
    until(lambda: "cannot name its node" in said(host, shared_pod("n1"), "vc-s"), "they hold", 30)
    until(lambda: not said(host, of_a_gang("rays", "ray"), "vc-s"), "a gang's pod is let in", 30)
    platforms_own = shared_pod("n1")
    platforms_own["metadata"]["labels"] = {"app": "vcluster"}
    assert said(host, platforms_own, "vc-s") == ""


@pytest.mark.parametrize(
    ("taint", "asked", "let_in"),
    [
        ("nvidia.com/gpu", "1", True),
        ("a.b/reserved", "0", False),
        ("node.kubernetes.io/unschedulable", "0", False),
        ("node.kubernetes.io/unschedulable", "1", False),
    ],
)
def test_in_shared_mode_a_taint_is_tolerated_for_a_device_only(
    host: Kube, taint: str, asked: str, let_in: bool
) -> None:
    """Asking for none of something costs nothing, on any node."""
    body = shared_pod()
    amounts = {taint: asked, **FITTED}
    body["spec"]["containers"][0]["resources"] = {"requests": amounts, "limits": amounts}
    body["spec"]["tolerations"] = [{"key": taint, "operator": "Exists"}]
    refused = said(host, body, "vc-s")
    assert (refused == "", "tolerates only" in refused) == (let_in, not let_in), refused


def test_nothing_can_be_slipped_in_later_and_deletion_is_never_held_up(host: Kube) -> None:
    body = pod()
    body["metadata"]["finalizers"] = ["atoll.dev/test"]
    made = host.create(f"{NAMESPACES}/vc-a/pods", body)
    assert made.status_code == 201, made.text
    path = f"{NAMESPACES}/vc-a/pods/rays-head-x-ray-x-a"
    sly = {"metadata": {"annotations": {"scheduling.volcano.sh/queue-name": "team-blue"}}}
    assert host.send("PATCH", path, sly).status_code == 403
    # The node is given back: what runs there may still be marked, and go.
    host.patch(f"{NAMESPACES}/vc-a", {"metadata": {"annotations": {"atoll.dev/nodes": ""}}})
    host.patch(path, {"metadata": {"annotations": {"note": "1"}}})
    host.delete(path)
    host.patch(path, {"metadata": {"finalizers": None}})
    notes = {"annotations": {"atoll.dev/nodes": "n1,n2"}}
    host.patch(f"{NAMESPACES}/vc-a", {"metadata": notes})
