"""What the host needs once: our custom resources, namespaces, and the host's policies."""

import asyncio
from pathlib import Path

import yaml

from atoll.cluster.client import Cluster, Object
from atoll.cluster.drift import says
from atoll.cluster.kinds import CRD, NAMESPACE, kind_of
from atoll.errors import NotFoundError, UnavailableError
from atoll.resources.crds import RESOURCES, crd
from atoll.resources.meta import API_VERSION
from atoll.settings import Settings

_FILES = Path(__file__).parents[3] / "helm" / "atoll" / "files"
POLICIES = (
    _FILES / "host-policies.yaml",
    _FILES / "tenant-pods.yaml",
    _FILES / "shared-mode.yaml",
)
"""The fence, what pods of teams may be, and what shared mode adds."""
_SERVED_SECONDS, _GOING_SECONDS = 20.0, 60.0


async def install(cluster: Cluster, settings: Settings) -> None:
    """Apply what differs and wait until the API serves our resources.

    Raises UnavailableError when it does not within 20 s, or when a namespace is being removed for a minute.
    """
    for resource in RESOURCES:
        await _ensure(cluster, crd(resource))
    for name in (settings.namespace, settings.access_namespace, settings.mirror_namespace):
        await _ensure(
            cluster, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        )
    for manifest in _policies():
        await _ensure(cluster, manifest)
    await _wait_served(cluster)


def _policies() -> list[Object]:
    return [m for file in POLICIES for m in yaml.safe_load_all(file.read_text()) if m]


async def _ensure(cluster: Cluster, manifest: Object) -> None:
    kind, name = kind_of(manifest), manifest["metadata"]["name"]
    found = await cluster.find(kind, name)
    # One of an earlier installation may still be going; applied to, it would go all the same.
    deadline = asyncio.get_running_loop().time() + _GOING_SECONDS
    while found and found["metadata"].get("deletionTimestamp"):
        if asyncio.get_running_loop().time() > deadline:
            raise UnavailableError(
                f"{kind.kind} {name} of an earlier platform is still being removed; try again when "
                f"`kubectl get {kind.plural} {name}` no longer finds it"
            )
        await asyncio.sleep(0.2)
        found = await cluster.find(kind, name)
    if not says(found, manifest):
        await cluster.apply(manifest)


async def _wait_served(cluster: Cluster) -> None:
    """Until each of our kinds can be listed: "established" comes a moment before the storage is."""
    deadline = asyncio.get_running_loop().time() + _SERVED_SECONDS
    for resource in RESOURCES:
        kind = kind_of({"apiVersion": API_VERSION, "kind": resource.KIND})
        while True:
            try:
                await cluster.items(kind)
                break
            except (NotFoundError, UnavailableError):
                if asyncio.get_running_loop().time() > deadline:
                    raise
            await asyncio.sleep(0.1)


async def uninstall(cluster: Cluster, settings: Settings) -> None:
    """Take it all away again; the custom resources must be gone already."""
    for manifest in _policies():
        await cluster.delete(kind_of(manifest), manifest["metadata"]["name"])
    for resource in RESOURCES:
        try:
            await cluster.delete(CRD, f"{resource.PLURAL}.atoll.dev")
        except NotFoundError:
            continue
    for name in (settings.namespace, settings.access_namespace, settings.mirror_namespace):
        await cluster.delete(NAMESPACE, name)
