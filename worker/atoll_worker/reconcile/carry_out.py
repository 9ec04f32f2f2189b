"""Does what a plan says. The only place of the reconciler that writes."""

import base64
from typing import Any

from atoll.cluster import reservations
from atoll.cluster.client import Cluster, Object
from atoll.domain.names import ANNOTATION_FENCE, LABEL_VIRTUAL_CLUSTER
from atoll_worker.reconcile.outcome import (
    Change,
    DropKeys,
    Evict,
    Install,
    MarkOrphans,
    Mint,
    Patch,
    Put,
    PutStoreUsers,
    Remove,
    Reserve,
    Uninstall,
)
from atoll_worker.reconcile.scope import Scope


async def carry_out(change: Change, scope: Scope) -> None:
    """One change; safe to repeat. Raises the cluster's and helm's errors."""
    if scope.dry:
        raise AssertionError("a dry pass must not write")
    inside = getattr(change, "inside", False)
    cluster = await scope.inside() if inside else scope.host
    match change:
        case Put(manifest):
            await cluster.apply(_stamped(manifest, scope))
        case Patch(kind, name, body, namespace):
            await cluster.patch(kind, name, body, namespace)
        case Remove(kind, name, namespace):
            await cluster.delete(kind, name, namespace)
        case Evict(pod, namespace):
            await cluster.evict(pod, namespace)
        case Install() | Uninstall():
            await _by_helm(change, cluster, scope)
        case Reserve():
            await _reserve(change, scope)
        case Mint():
            await _mint(change, scope)
        case PutStoreUsers() | MarkOrphans() | DropKeys():
            await _in_store(change, scope)


async def _by_helm(change: Install | Uninstall, cluster: Cluster, scope: Scope) -> None:
    """One release, on the host or inside."""
    file = await scope.inside_file() if change.inside else scope.host_kubeconfig
    match change:
        case Install(release, namespace, chart, values):
            await scope.releases.install(cluster, file, release, namespace, chart, values)
        case Uninstall(release, namespace):
            await scope.releases.uninstall(cluster, file, release, namespace)


async def _in_store(change: PutStoreUsers | MarkOrphans | DropKeys, scope: Scope) -> None:
    """One change in the virtual cluster's Redis."""
    store = await scope.gcs_store()
    match change:
        case PutStoreUsers(users, gone):
            await store.put_users(users, gone)
        case MarkOrphans(marked, found_again):
            await store.mark_orphans(marked, found_again)
        case DropKeys(storage_namespaces):
            await store.drop_keys(storage_namespaces)


async def _reserve(change: Reserve, scope: Scope) -> None:
    settle = reservations.release if change.quota is None else reservations.ensure
    await settle(scope.host, change.team, change.virtual_cluster)


def _stamped(manifest: Object, scope: Scope) -> Object:
    """With the fence (who wrote it last, by count of the lease) and the virtual cluster's name."""
    meta = dict(manifest["metadata"])
    meta["annotations"] = {**meta.get("annotations", {}), ANNOTATION_FENCE: str(scope.fence)}
    meta["labels"] = {LABEL_VIRTUAL_CLUSTER: scope.vc.name, **meta.get("labels", {})}
    return {**manifest, "metadata": meta}


async def _mint(mint: Mint, scope: Scope) -> None:
    """Ask the virtual cluster for a token and keep it on the host, where only the gateway may read."""
    inside = await scope.inside()
    body = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "TokenRequest",
        "spec": {"expirationSeconds": mint.seconds},
    }
    path = f"api/v1/namespaces/{mint.namespace}/serviceaccounts/{mint.service_account}/token"
    answer = (await inside.request("POST", path, body=body)).json()["status"]
    server = (await scope.inside_config())["clusters"][0]["cluster"]
    data = {
        "server": _b64(server["server"]),
        "ca.crt": server["certificate-authority-data"],
        "token": _b64(answer["token"]),
        "expires_at": _b64(answer["expirationTimestamp"]),
    }
    labels = {**scope.labels("access"), "atoll.dev/uid": scope.vc.metadata.uid}
    meta: dict[str, Any] = {
        "name": mint.secret,
        "namespace": scope.settings.access_namespace,
        "labels": labels,
        "annotations": {"atoll.dev/expires-at": answer["expirationTimestamp"]},
    }
    manifest: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": meta,
        "type": "Opaque",
        "data": data,
    }
    await scope.host.apply(_stamped(manifest, scope))


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
