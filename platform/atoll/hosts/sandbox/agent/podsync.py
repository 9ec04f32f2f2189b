"""Copies the pods of a virtual cluster to the host, and their fate back."""

from __future__ import annotations

from atoll.hosts.sandbox.agent.copies import copy_referred
from atoll.hosts.sandbox.agent.informer import Informer, Key, Reconciler, key_of
from atoll.hosts.sandbox.agent.nodesync import NodeSync
from atoll.hosts.sandbox.agent.translate import Tenancy, host_pod, virtual_status
from atoll.hosts.sandbox.agent.world import (
    MANAGED_BY,
    OBJECT_NAME,
    OBJECT_NAMESPACE,
    Site,
    World,
)
from atoll.hosts.sandbox.kube import POD, ApiError, Obj

_NOTES = "sandbox.atoll.dev/"
_RETRY_SECONDS = 5.0
_REFERENCE_SECONDS = 1.0
"""How often what a waiting pod names is looked for."""


class PodSync:
    """The pod part of a virtual cluster's syncer."""

    def __init__(self, world: World, site: Site, tenancy: Tenancy, nodes: NodeSync) -> None:
        self._world, self._site, self._tenancy, self._nodes = world, site, tenancy, nodes
        self.inside = Informer(site.kube, POD)
        self.queue = Reconciler(f"pods of {tenancy.name}", self._look, parallel=16)

    def begin(self) -> None:
        """Start to hear of changes."""
        self.inside.subscribe(lambda pod: self.queue.add(key_of(pod)))
        self._world.pods.subscribe(self._host_changed)

    def end(self) -> None:
        """Stop hearing of changes on the host."""
        self._world.pods.unsubscribe(self._host_changed)

    def _host_changed(self, pod: Obj) -> None:
        meta = pod["metadata"]
        mine = (meta.get("labels") or {}).get(MANAGED_BY) == self._tenancy.name
        if mine and meta["namespace"] == self._tenancy.namespace:
            notes = meta.get("annotations") or {}
            self.queue.add((notes[OBJECT_NAMESPACE], notes[OBJECT_NAME]))

    async def _look(self, key: Key) -> float | None:
        virtual = self.inside.get(*key)
        name = self._tenancy.host_name(key[1], key[0])
        present = self._world.pods.get(self._tenancy.namespace, name)
        if virtual is None:
            if present is not None:
                await self._remove(present)
            return None
        if virtual["metadata"].get("deletionTimestamp"):
            await self._leave(virtual, present)
            return None
        if present is None:
            return await self._create(virtual)
        if present["metadata"].get("deletionTimestamp"):
            await self._delete_inside(virtual)
            return None
        return await self._follow(virtual, present)

    async def _remove(self, present: Obj, grace: int | None = None) -> None:
        meta = present["metadata"]
        if not meta.get("deletionTimestamp"):
            await self._world.host.kube.delete(
                POD, meta["namespace"], meta["name"], grace=grace, uid=meta["uid"]
            )

    async def _leave(self, virtual: Obj, present: Obj | None) -> None:
        if present is not None:
            await self._remove(present, virtual["metadata"].get("deletionGracePeriodSeconds"))
            return
        await self._delete_inside(virtual, grace=0)

    async def _delete_inside(self, virtual: Obj, grace: int | None = None) -> None:
        uid = virtual["metadata"]["uid"]
        await self._site.kube.delete(POD, *key_of(virtual), grace=grace, uid=uid)

    async def _create(self, virtual: Obj) -> float | None:
        status = virtual.get("status") or {}
        if status.get("phase") in ("Succeeded", "Failed"):
            return None
        if self._tenancy.own_scheduler and not virtual["spec"].get("nodeName"):
            return None
        if status.get("startTime"):
            # It ran and is gone from the host: only its controller may bring it back.
            await self._delete_inside(virtual)
            return None
        try:
            await copy_referred(self._site, self._world.host.kube, self._tenancy, virtual)
            await self._world.host.kube.create(POD, host_pod(virtual, self._tenancy))
        except ApiError as refusal:
            if refusal.code == 409:
                return 0.2
            await self._site.event(
                virtual, "SyncError", f"Error syncing to host cluster: {refusal.message}"
            )
            return _RETRY_SECONDS
        return None

    async def _follow(self, virtual: Obj, present: Obj) -> float | None:
        node, bound = present["spec"].get("nodeName"), virtual["spec"].get("nodeName")
        if node and not bound:
            await self._nodes.show(node)
            await self._bind(virtual, node)
        elif node and node != bound:
            await self._delete_inside(virtual)
            return None
        await self._bring_notes(virtual, present)
        status = virtual_status(present.get("status") or {})
        known = virtual_status(virtual.get("status") or {})
        if status.get("phase") and status != known:
            await self._site.kube.patch(POD, *key_of(virtual), {"status": status}, sub="status")
        if _lacks_reference(present):
            # Made after the pod: vcluster's syncer brings what a pod names whenever it comes to be.
            await copy_referred(self._site, self._world.host.kube, self._tenancy, virtual)
            return _REFERENCE_SECONDS
        return None

    async def _bind(self, virtual: Obj, node: str) -> None:
        namespace, name = key_of(virtual)
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": namespace, "uid": virtual["metadata"]["uid"]},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        await self._site.kube.bind(namespace, name, binding)

    async def _bring_notes(self, virtual: Obj, present: Obj) -> None:
        theirs = present["metadata"].get("annotations") or {}
        known = virtual["metadata"].get("annotations") or {}
        notes = {k: v for k, v in theirs.items() if k.startswith(_NOTES) and known.get(k) != v}
        if notes:
            await self._site.kube.patch(POD, *key_of(virtual), {"metadata": {"annotations": notes}})


def _lacks_reference(pod: Obj) -> bool:
    """Whether a container waits for a Secret or ConfigMap, as the kubelet tells it."""
    told = (pod.get("status") or {}).get("containerStatuses") or []
    reasons = (one.get("state", {}).get("waiting", {}).get("reason") for one in told)
    return "CreateContainerConfigError" in reasons
