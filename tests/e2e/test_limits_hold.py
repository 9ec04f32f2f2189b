"""A team that does not co-operate: its owner takes all policies inside away; judged on the host."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from e2e.figures import Figures
from e2e.kube import Kube, Object
from e2e.local import Local
from waiting import until

INSIDE = "/api/v1/namespaces/default/pods"
EVENTS = "/api/v1/namespaces/default/events"
HOST = "/api/v1/namespaces/vc-demo/pods"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"
TOKEN = "/api/v1/namespaces/atoll-system/serviceaccounts/owner/token"
KINDS = (
    "validatingadmissionpolicybindings", "mutatingadmissionpolicybindings",
    "validatingadmissionpolicies", "mutatingadmissionpolicies",
)  # fmt: skip
IMAGE = "mirror.gcr.io/library/alpine:3.20"


@pytest.fixture
def owner(platform: Local) -> Iterator[Kube]:
    """The team's owner inside `demo`, with a token as the platform gives it."""
    platform.demo()
    admin = platform.stage.inside("demo")
    token = admin.create(TOKEN, {"spec": {"expirationSeconds": 3600}}).json()["status"]["token"]
    kube = admin.as_bearer(token)
    yield kube
    for item in kube.items(INSIDE):
        kube.delete(f"{INSIDE}/{item['metadata']['name']}?gracePeriodSeconds=0")
    until(lambda: not kube.items(INSIDE), "the pods of the test are gone", 60)


def policies(kube: Kube) -> set[tuple[str, str]]:
    return {
        (kind, item["metadata"]["name"])
        for kind in KINDS
        for item in kube.items(f"{ADMISSION}/{kind}")
    }


def take_away(kube: Kube) -> None:
    """As an owner may: an administrator inside."""
    for kind, name in sorted(policies(kube)):
        kube.delete(f"{ADMISSION}/{kind}/{name}")


def pod(name: str, **spec: Any) -> Object:
    container = {
        "name": "c", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
        "command": ["sleep", "600"],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
    }  # fmt: skip
    meta = {"name": name, "annotations": {}, "labels": {}}
    return {"metadata": meta, "spec": {"containers": [container], **spec}}


def on_host(platform: Local, name: str) -> Object | None:
    return platform.stage.host.get(f"{HOST}/{name}-x-default-x-demo")


def refusal(owner: Kube, name: str) -> str:
    """What vcluster says of a pod that the host did not take."""
    said = [
        event["message"]
        for event in owner.items(EVENTS)
        if event["involvedObject"]["name"] == name and event["reason"] == "SyncError"
    ]
    return str(said[-1]) if said else ""


def make(owner: Kube, body: Object) -> None:
    """Made as it is written: policies come back by themselves, and hold a moment after they went."""
    path = f"{INSIDE}/{body['metadata']['name']}"

    def tried() -> bool:
        take_away(owner)
        if owner.get(path) is None:
            answer = owner.create(INSIDE, body)
            if answer.status_code != 201:
                return False
            if as_written(answer.json(), body):
                return True
            owner.delete(f"{path}?gracePeriodSeconds=0")
        return False

    until(tried, f"{body['metadata']['name']} is made inside as it is written", 60)


def as_written(made: Object, body: Object) -> bool:
    """Whether no policy has put it right."""
    notes = made["metadata"].get("annotations", {})
    scheduler = body["spec"].get("schedulerName", "default-scheduler")
    return bool(
        notes == body["metadata"]["annotations"] and made["spec"]["schedulerName"] == scheduler
    )


def _note(part: str, key: str, value: str) -> Callable[[Object], Any]:
    return lambda body: body["metadata"][part].update({key: value})


SPOOFS: dict[str, tuple[Callable[[Object], Any], str]] = {
    "queue": (_note("annotations", "scheduling.volcano.sh/queue-name", "team-other"), "team-other"),
    "queue-label": (_note("labels", "volcano.sh/queue-name", "team-other"), "team-other"),
    "preemptable": (_note("annotations", "volcano.sh/preemptable", "false"), "preemptable"),
    "toleration": (
        lambda body: body["spec"].update(tolerations=[{"operator": "Exists"}]), "every taint"),
    "host-path": (
        lambda body: body["spec"].update(volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
        "hostPath"),
    "host-network": (lambda body: body["spec"].update(hostNetwork=True), "host namespaces"),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOOFS)
def test_the_host_does_not_take_what_a_pod_may_not_choose(
    platform: Local, owner: Kube, name: str
) -> None:
    change, words = SPOOFS[name]
    body = pod(name)
    change(body)
    make(owner, body)
    until(lambda: words in refusal(owner, name), f"the host refuses in words: {name}", 60)
    assert on_host(platform, name) is None


def test_a_pod_cannot_name_a_node_of_others(platform: Local, owner: Kube) -> None:
    host = platform.stage.host
    foreign = next(
        node["metadata"]["name"]
        for node in host.items("/api/v1/nodes")
        if node["metadata"]["labels"].get("atoll.dev/virtual-cluster") != "demo"
    )
    make(owner, pod("thief", nodeName=foreign))
    # vcluster asks the host in vain, or removes the pod for naming a node that it does not have.
    until(
        lambda: owner.get(f"{INSIDE}/thief") is None
        or "does not belong to virtual cluster demo" in refusal(owner, "thief"),
        "the pod is refused", 120,
    )  # fmt: skip
    assert on_host(platform, "thief") is None
    assert not [
        p for p in host.items("/api/v1/pods")
        if p["spec"].get("nodeName") == foreign and "-x-demo" in p["metadata"]["name"]
    ]  # fmt: skip


def test_the_host_refuses_a_copied_pod_on_a_node_of_others(platform: Local) -> None:
    """As vcluster itself would ask for it: whatever makes it try."""
    platform.demo()
    host = platform.stage.host
    foreign, own = (
        next(
            node["metadata"]["name"]
            for node in host.items("/api/v1/nodes")
            if (node["metadata"]["labels"].get("atoll.dev/virtual-cluster") == "demo") is mine
        )
        for mine in (False, True)
    )
    body = pod("copied", nodeName=foreign)
    body["metadata"]["labels"]["vcluster.loft.sh/managed-by"] = "demo"
    answer = host.create(f"{HOST}?dryRun=All", body)
    assert answer.status_code == 403
    assert f"node {foreign} does not belong to virtual cluster demo" in answer.json()["message"]
    body["spec"]["nodeName"] = own
    assert host.create(f"{HOST}?dryRun=All", body).status_code == 201


def test_a_priority_of_the_system_does_not_reach_the_host(platform: Local, owner: Kube) -> None:
    make(owner, pod("important", priorityClassName="system-node-critical"))
    until(lambda: on_host(platform, "important"), "the pod is on the host", 60)
    found = on_host(platform, "important")
    assert found is not None
    assert found["spec"].get("priorityClassName", "") == ""
    assert found["spec"].get("priority", 0) == 0


def test_the_platforms_own_services_take_nothing_of_the_quota(platform: Local) -> None:
    """What counts is outside the platform's namespaces: nothing but the Services of Ray heads."""
    platform.demo()
    copies = "/api/v1/namespaces/vc-demo/services?labelSelector=vcluster.loft.sh/managed-by%3Ddemo"
    found = [item["metadata"] for item in platform.stage.host.items(copies)]
    from_inside = {m["name"]: m["labels"]["vcluster.loft.sh/namespace"] for m in found}
    assert "kube-system" in from_inside.values(), from_inside
    heads = {m["name"] for m in found if m["labels"].get("ray.io/node-type") == "head"}
    ours = {n for n, place in from_inside.items() if place in ("kube-system", "atoll-system")}
    assert set(from_inside) - ours <= heads, from_inside


def test_no_more_than_the_quota_runs_on_the_host(
    platform: Local, owner: Kube, figures: Figures
) -> None:
    quota = "/api/v1/namespaces/vc-demo/resourcequotas/tenant"
    status = (platform.stage.host.get(quota) or {})["status"]
    hard, used = cores(status["hard"]["requests.cpu"]), cores(status["used"]["requests.cpu"])
    for number in range(8):
        body = pod(f"glutton-{number}")
        body["spec"]["containers"][0]["resources"]["requests"]["cpu"] = f"{(hard - used) / 4:.3f}"
        make(owner, body)
    time.sleep(5)  # what could come too much has come
    now = cores((platform.stage.host.get(quota) or {})["status"]["used"]["requests.cpu"])
    figures.note(f"8 pods past the queue for twice what is free: host uses {now} of {hard} cores")
    assert now <= hard
    there = [n for n in range(8) if on_host(platform, f"glutton-{n}")]
    assert len(there) < 8


def test_policies_that_were_taken_away_come_back(
    platform: Local, owner: Kube, figures: Figures
) -> None:
    until(lambda: len(policies(owner)) >= 14, "the policies are there", 60)
    before = policies(owner)
    take_away(owner)
    assert not policies(owner)
    began = time.monotonic()
    # Using the gap changes what the host counts, and that causes a look.
    assert owner.create(INSIDE, pod("gap")).status_code == 201
    until(lambda: policies(owner) == before, "all policies are back", 60)
    figures.note(
        f"policies taken away were back {time.monotonic() - began:.1f} s after a pod was made"
    )


def test_use_is_told_as_it_changes(platform: Local, owner: Kube, figures: Figures) -> None:
    host = platform.stage.host

    def used(path: str) -> float:
        status = (host.get(f"/apis/atoll.dev/v1alpha1/{path}") or {})["status"]
        return cores(status.get("used", {}).get("cpu", "0"))

    paths = ("virtualclusters/demo", "teams/demo")
    before: list[float] = []

    def settled() -> bool:
        """Nothing of the tests before is on its way out any more."""
        nonlocal before
        if any(p["metadata"].get("deletionTimestamp") for p in host.items(HOST)):
            return False
        was, before = before, [used(path) for path in paths]
        time.sleep(6)
        return was == before

    until(settled, "the use stands still", 90)
    body = pod("counted")
    body["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "30m"
    assert owner.create(INSIDE, body).status_code == 201
    until(lambda: on_host(platform, "counted"), "the pod is on the host", 60)
    began = time.monotonic()
    for path, was in zip(paths, before, strict=True):
        until(lambda p=path, w=was: used(p) >= w + 0.03, f"{path} tells the use", 60)
        figures.note(f"use of {path} told {time.monotonic() - began:.1f} s after the pod was there")


def cores(text: str) -> float:
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)
