"""Shared virtual clusters in the sandbox: what tests make in them and ask of them."""

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import yaml

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import (
    EVENT,
    MUTATING_BINDING,
    NAMESPACE,
    POD,
    POD_GROUP,
    SECRET,
    VALIDATING_BINDING,
)
from atoll.domain import names
from atoll.errors import ForbiddenError
from builders.sandbox_site import Site

QUOTA = {"cpu": "2", "memory": "4Gi"}


def resource(kind: str, name: str, spec: dict[str, Any]) -> Object:
    meta = {"name": name}
    return {"apiVersion": "atoll.dev/v1alpha1", "kind": kind, "metadata": meta, "spec": spec}


def gang(name: str, namespace: str, members: int, **spec: Any) -> Object:
    """A PodGroup as KubeRay makes it."""
    meta = {"name": name, "namespace": namespace}
    return {
        "apiVersion": "scheduling.volcano.sh/v1beta1",
        "kind": "PodGroup",
        "metadata": meta,
        "spec": {"minMember": members, "queue": "team-blue", **spec},
    }


def pod(name: str, namespace: str, group: str | None = None, **spec: Any) -> Object:
    """A pod that runs nothing real."""
    notes = {"scheduling.k8s.io/group-name": group} if group else {}
    container = {
        "name": "it",
        "image": "example.org/nothing:1",
        "resources": {"requests": {"cpu": "500m", "memory": "256Mi"}},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "annotations": notes},
        "spec": {"containers": [container], "schedulerName": "volcano", **spec},
    }


@asynccontextmanager
async def both(site: Site, name: str) -> AsyncIterator[tuple[Cluster, Cluster]]:
    """The host and the inside of a virtual cluster, as its administrator; what a test made is removed."""
    async with site.cluster() as host:
        secret = await host.get(SECRET, f"vc-{name}", f"vc-{name}")
        config = yaml.safe_load(base64.b64decode(secret["data"]["config"]))
        async with Cluster.from_dict(config) as inside:
            try:
                yield host, inside
            finally:
                for kind in (POD, POD_GROUP):
                    for item in await inside.items(kind):
                        meta = item["metadata"]
                        if meta["namespace"] not in ("kube-system", "atoll-system"):
                            await inside.delete(kind, meta["name"], meta["namespace"])
                await comes(lambda: nothing_left(host, f"vc-{name}"))


async def nothing_left(host: Cluster, namespace: str) -> bool:
    groups = await host.items(POD_GROUP, namespace)
    found = await host.get(NAMESPACE, namespace)
    pods = [
        p for p in await host.items(POD, namespace) if "-x-ray-x-" in p["metadata"]["name"]
    ]  # fmt: skip
    return (
        not groups and not pods and names.ANNOTATION_GANGS not in found["metadata"]["annotations"]
    )


async def comes(so: Callable[[], Awaitable[Any]], seconds: float = 20) -> Any:
    """Wait until it is so; what it was."""
    deadline = time.monotonic() + seconds
    while True:
        found = await so()
        if found:
            return found
        assert time.monotonic() < deadline, f"not so after {seconds:g} s"
        await asyncio.sleep(0.1)


async def said(cluster: Cluster, name: str, namespace: str) -> str:
    """What is told of a gang as the reason why it waits."""
    group = await cluster.find(POD_GROUP, name, namespace)
    conditions = ((group or {}).get("status") or {}).get("conditions") or []
    return "; ".join(c.get("message", "") for c in conditions if c["type"] == "Unschedulable")


async def says(cluster: Cluster, name: str, words: str) -> bool:
    return words in await said(cluster, name, "ray")


async def bound(host: Cluster, namespace: str, group: str) -> list[str]:
    """Host pods of a gang that have a node."""
    return [
        p["metadata"]["name"]
        for p in await host.items(POD, namespace)
        if p["metadata"].get("annotations", {}).get("scheduling.k8s.io/group-name") == group
        and p["spec"].get("nodeName")
    ]


async def slip_in(inside: Cluster, body: Object) -> None:
    """Make a pod as it is written: the owner takes away the policies that would put it right."""
    deadline = time.monotonic() + 30
    while True:
        for kind in (MUTATING_BINDING, VALIDATING_BINDING):
            await inside.delete(kind, "atoll-pods")
        meta = body["metadata"]
        with contextlib.suppress(ForbiddenError):
            made = await inside.create(body)
            notes = made["metadata"].get("annotations") or {}
            if notes == meta["annotations"] and _same_scheduler(made, body):
                return
            await inside.delete(POD, meta["name"], meta["namespace"])
        assert time.monotonic() < deadline, "the policies inside do not go"
        await asyncio.sleep(0.3)


def _same_scheduler(made: Object, body: Object) -> bool:
    return bool(made["spec"]["schedulerName"] == body["spec"]["schedulerName"])


async def sync_error(inside: Cluster, name: str, namespace: str = "ray") -> str:
    """Why vcluster could not copy a pod to the host, in the host's words."""
    # By uid: a pod of the same name before it may have been told of again while it went.
    found = await inside.find(POD, name, namespace)
    uid = found["metadata"]["uid"] if found else ""
    for event in await inside.items(EVENT, namespace):
        if event["involvedObject"].get("uid") == uid and event["reason"] == "SyncError":
            return str(event["message"])
    return ""
