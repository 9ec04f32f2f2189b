"""Many gangs for half as much again as there is: each runs whole or not at all, judged on the host."""

import random
import time
from collections.abc import Iterator

import pytest

from atoll.domain.quantities import parse_quantity
from atoll.domain.usage import requests_of
from e2e.figures import Figures
from e2e.kube import Kube, Object
from e2e.local import Local
from waiting import until

GROUPS = "/apis/scheduling.volcano.sh/v1beta1/namespaces/default/podgroups"
PODS = "/api/v1/namespaces/default/pods"
HOST = "/api/v1/namespaces/vc-demo/pods"
IMAGE = "mirror.gcr.io/library/alpine:3.20"
ROOM = 30
"""Pods that fit; asked for is half as much again."""


@pytest.fixture
def inside(platform: Local) -> Iterator[Kube]:
    platform.demo()
    kube = platform.stage.inside("demo")
    yield kube
    for item in kube.items(PODS):
        kube.delete(f"{PODS}/{item['metadata']['name']}?gracePeriodSeconds=0")
    for item in kube.items(GROUPS):
        kube.delete(f"{GROUPS}/{item['metadata']['name']}")
    until(lambda: not kube.items(PODS), "the gangs are gone", 120)


def sizes() -> list[int]:
    """From 2 to 20, half as much again as fits."""
    chance, found = random.Random(7), [20, 2]
    while sum(found) < ROOM * 1.5:
        found.append(chance.randint(2, 12))
    return found


def free_cores(platform: Local, inside: Kube) -> float:
    """What the queue and the nodes of the virtual cluster both have left."""
    host = platform.stage.host
    owned = {
        node["metadata"]["name"]: parse_quantity(node["status"]["allocatable"]["cpu"])
        for node in host.items("/api/v1/nodes")
        if node["metadata"]["labels"].get("atoll.dev/virtual-cluster") == "demo"
    }
    there = [p for p in host.items("/api/v1/pods") if p["spec"].get("nodeName") in owned]
    nodes = sum(owned.values()) - parse_quantity(requests_of(there)["cpu"])
    queue = inside.get("/apis/scheduling.volcano.sh/v1beta1/queues/team-demo") or {}
    held = (queue.get("status") or {}).get("allocated") or {}
    cap = (queue["spec"].get("capability") or {}).get("cpu")
    left = parse_quantity(cap) - parse_quantity(held.get("cpu", "0")) if cap else nodes
    return float(min(nodes, left))


def make(inside: Kube, name: str, size: int, cpu: str) -> None:
    group = {
        "apiVersion": "scheduling.volcano.sh/v1beta1", "kind": "PodGroup",
        "metadata": {"name": name},
        "spec": {"minMember": size},
    }  # fmt: skip
    inside.create(GROUPS, group).raise_for_status()
    for number in range(size):
        container = {
            "name": "c", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
            "command": ["sleep", "900"],
            "resources": {"requests": {"cpu": cpu, "memory": "4Mi"}},
        }  # fmt: skip
        body: Object = {
            "metadata": {
                "name": f"{name}-{number}",
                "annotations": {"scheduling.k8s.io/group-name": name},
            },
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
        }
        inside.create(PODS, body).raise_for_status()


def on_host(platform: Local) -> dict[str, int]:
    """Gang -> how many of its pods the host has."""
    found: dict[str, int] = {}
    for item in platform.stage.host.items(HOST):
        name = (item["metadata"].get("annotations") or {}).get("scheduling.k8s.io/group-name", "")
        if name.startswith("gang-") and not item["metadata"].get("deletionTimestamp"):
            found[name] = found.get(name, 0) + 1
    return found


def quiet(platform: Local, seconds: float = 8) -> dict[str, int]:
    """What the host has once nothing has come or gone for so long."""
    before, since = on_host(platform), time.monotonic()
    deadline = since + 120
    while time.monotonic() - since < seconds:
        assert time.monotonic() < deadline, "the host never comes to rest"
        time.sleep(0.5)
        now = on_host(platform)
        if now != before:
            before, since = now, time.monotonic()
    return before


def test_no_gang_is_ever_half_there(platform: Local, inside: Kube, figures: Figures) -> None:
    wanted = {f"gang-{number}": size for number, size in enumerate(sizes())}
    cpu = f"{int(free_cores(platform, inside) / ROOM * 1000)}m"
    for name, size in wanted.items():
        make(inside, name, size, cpu)
    left, rounds = dict(wanted), 0
    while left:
        found = quiet(platform)
        rounds += 1
        partial = {name: f"{n} of {wanted[name]}" for name, n in found.items() if n != wanted[name]}
        assert not partial
        assert sum(found.values()) <= ROOM
        assert found, f"nothing runs while {left} wait"
        for name in found:
            for number in range(wanted[name]):
                inside.delete(f"{PODS}/{name}-{number}?gracePeriodSeconds=0")
            inside.delete(f"{GROUPS}/{name}")
            left.pop(name, None)
    figures.note(
        f"{len(wanted)} gangs of {min(wanted.values())}-{max(wanted.values())} pods, "
        f"{sum(wanted.values())} pods for room of {ROOM}: none half there, all ran, in {rounds} rounds"
    )
