"""Does what a plan says. The only place of the reconciler that writes."""

import base64
import contextlib
from typing import Any

import structlog

from atoll.cluster import reservations
from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import POD
from atoll.cluster.leases import HeldByOtherError, WriterLease, holder
from atoll.domain.names import (
    ANNOTATION_FENCE,
    FIELD_MANAGER,
    LABEL_MANAGED,
    LABEL_VIRTUAL_CLUSTER,
)
from atoll.errors import ForbiddenError, InvalidError, NotFoundError, StaleWriteError
from atoll_worker.reconcile.outcome import (
    AdmitPasswords,
    Change,
    DropKeys,
    Evict,
    Expel,
    ForgetStore,
    Install,
    InstallForAll,
    MarkOrphans,
    Mint,
    Patch,
    Put,
    PutStoreUsers,
    Remove,
    Reserve,
    SpeakPassword,
    Uninstall,
)
from atoll_worker.reconcile.scope import Scope

log = structlog.get_logger()


async def carry_out(change: Change, scope: Scope) -> None:
    """One change; safe to repeat. Raises the cluster's and helm's errors."""
    if scope.dry:
        raise AssertionError("a dry pass must not write")
    try:
        await _carry_out(change, scope)
    finally:
        scope.changed()


async def _carry_out(change: Change, scope: Scope) -> None:
    match change:
        case Put() | Patch() | Remove() | Evict() | Expel():
            await _on_object(change, scope)
        case Install() | Uninstall():
            await _release(change, scope)
        case InstallForAll(install, lease):
            await _install_for_all(install, lease, scope)
        case Reserve():
            await _reserve(change, scope)
        case Mint():
            await _mint(change, scope)
        case PutStoreUsers() | MarkOrphans() | DropKeys():
            await _in_store(change, scope)
        case AdmitPasswords() | SpeakPassword():
            await _in_own_store(change, scope)
        case ForgetStore(member):
            await (await scope.external_store()).forget(member)


async def _on_object(change: Put | Patch | Remove | Evict | Expel, scope: Scope) -> None:
    """One object, on the host or inside."""
    inside = getattr(change, "inside", False)
    cluster = await scope.inside() if inside else scope.host
    match change:
        case Put(manifest, refusable=True):
            await _offer(cluster, _stamped(manifest, scope), scope)
        case Put(manifest):
            await cluster.apply(_stamped(manifest, scope))
        case Patch(kind, name, body, namespace):
            await cluster.patch(kind, name, body, namespace)
        case Remove(kind, name, namespace):
            await cluster.delete(kind, name, namespace)
        case Evict(pod, namespace):
            await cluster.evict(pod, namespace)
        case Expel(pod, namespace, revision):
            with contextlib.suppress(NotFoundError, StaleWriteError):
                await cluster.delete_at(POD, pod, revision, namespace)


async def _offer(cluster: Cluster, manifest: Object, scope: Scope) -> None:
    """A refusal is the step's to tell, which the log then need not say again at each look."""
    try:
        await cluster.apply(manifest)
    except (ForbiddenError, InvalidError) as error:
        namespace, name = manifest["metadata"].get("namespace", ""), manifest["metadata"]["name"]
        scope.refusals[manifest["kind"], namespace, name] = error.detail
        place = f"{namespace}/{name}"
        told = any(place in condition.message for condition in scope.vc.status.conditions)
        say = log.debug if told else log.warning
        say("change.refused", kind=manifest["kind"], object=place, detail=error.detail)


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


async def _in_own_store(change: AdmitPasswords | SpeakPassword, scope: Scope) -> None:
    store = await scope.own_store()
    match change:
        case AdmitPasswords(passwords):
            await store.admit(passwords)
        case SpeakPassword(password):
            await store.speak(password)


async def _release(change: Install | Uninstall, scope: Scope) -> None:
    inside = change.inside
    cluster = await scope.inside() if inside else scope.host
    file = await scope.inside_file() if inside else scope.host_kubeconfig
    where = change.release, change.namespace
    if isinstance(change, Uninstall):
        await scope.releases.uninstall(cluster, file, *where)
    else:
        await scope.releases.install(
            cluster, file, *where, change.chart, change.values, change.awaits
        )


async def _reserve(change: Reserve, scope: Scope) -> None:
    settle = reservations.release if change.quota is None else reservations.ensure
    await settle(scope.host, change.team, change.virtual_cluster)


async def _install_for_all(install: Install, lease: str, scope: Scope) -> None:
    """Nothing when another worker is at it. The mark on the namespace tells `atoll down` whose it is;
    no virtual cluster's name and fence are on it, for it outlives them all.
    """
    settings = scope.settings
    writer = WriterLease(scope.host, settings.namespace, lease, holder(), settings.lease_seconds)
    with contextlib.suppress(HeldByOtherError):
        async with writer.held():
            meta = {"name": install.namespace, "labels": {LABEL_MANAGED: FIELD_MANAGER}}
            await scope.host.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
            await scope.releases.install(
                scope.host, scope.host_kubeconfig, install.release, install.namespace,
                install.chart, install.values,
            )  # fmt: skip


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
    labels = {**scope.labels(mint.step), "atoll.dev/uid": scope.vc.metadata.uid}
    meta: dict[str, Any] = {
        "name": mint.secret,
        "namespace": mint.place,
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
