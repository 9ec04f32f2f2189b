"""What every sandbox host contains: its nodes and its storage class."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime

from atoll.hosts.recipes import KUBERNETES
from atoll.hosts.sandbox.kube import NODE, POD, STORAGE_CLASS, Kube, Obj
from atoll.hosts.sandbox.nodes import OWNER_LABEL, NodeTemplate, node_manifest, node_status

VOLUME_PROVISIONER = "sandbox.atoll.dev/volumes"
_CLASS: Obj = {
    "metadata": {
        "name": "standard",
        "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
    },
    "provisioner": VOLUME_PROVISIONER,
    "reclaimPolicy": "Delete",
    "volumeBindingMode": "Immediate",
    "allowVolumeExpansion": True,
}


def now() -> str:
    """The time in RFC 3339, whole seconds, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def settle(kube: Kube, wanted: Mapping[str, NodeTemplate], kubelet_port: int) -> None:
    """Make exactly the wanted nodes and the storage class, then close the client.

    The agent answers for the kubelet of every node, on one port of the loopback address.
    """
    try:
        await kube.ensure(STORAGE_CLASS, _CLASS)
        present, _ = await kube.list(NODE, selector=OWNER_LABEL)
        names = {node["metadata"]["name"] for node in present}
        for name in names - set(wanted):
            await _remove(kube, name)
        await asyncio.gather(
            *(_settle_node(kube, name, wanted[name], kubelet_port) for name in wanted)
        )
    finally:
        await kube.close()


async def _settle_node(kube: Kube, name: str, template: NodeTemplate, kubelet_port: int) -> None:
    await kube.ensure(NODE, node_manifest(name, template))
    status = node_status(name, template, now(), f"v{KUBERNETES}")
    status["daemonEndpoints"] = {"kubeletEndpoint": {"Port": kubelet_port}}
    await kube.patch(NODE, None, name, {"status": status}, sub="status")


async def _remove(kube: Kube, node: str) -> None:
    """Delete a node, and its pods the way a node that is gone for good loses them."""
    await kube.delete(NODE, None, node)
    pods, _ = await kube.list(POD)
    for pod in pods:
        if pod["spec"].get("nodeName") == node:
            meta = pod["metadata"]
            await kube.delete(POD, meta["namespace"], meta["name"], grace=0, uid=meta["uid"])
