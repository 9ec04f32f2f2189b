"""Shows host objects inside a virtual cluster: nodes, priority and storage classes, Services."""

from __future__ import annotations

from typing import Any

from atoll.hosts.sandbox.agent.informer import Informer, Key, Reconciler, key_of
from atoll.hosts.sandbox.agent.world import CONTROLLED_BY, Site, World
from atoll.hosts.sandbox.kube import (
    NAMESPACE,
    NODE,
    PRIORITY_CLASS,
    SERVICE,
    STORAGE_CLASS,
    ApiError,
    Obj,
    Resource,
)

_CARRIED = {
    NODE: ("spec",),
    PRIORITY_CLASS: ("value", "globalDefault", "description", "preemptionPolicy"),
    STORAGE_CLASS: ("provisioner", "reclaimPolicy", "volumeBindingMode", "parameters"),
}
_MIRRORED = "sandbox.atoll.dev/mirrored"


class Mirror:
    """Shows the host objects of a cluster-scoped kind that carry the given labels."""

    def __init__(self, world: World, site: Site, kind: Resource, labels: dict[str, str]) -> None:
        self._site, self._kind = site, kind
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        self.outside = Informer(world.host.kube, kind, selector=selector)
        self.inside = Informer(site.kube, kind, selector=_MIRRORED)
        self.queue = Reconciler(f"mirror {kind.plural}", self._look)

    def begin(self) -> None:
        """Start to hear of changes."""
        self.outside.subscribe(lambda item: self.queue.add(key_of(item)))
        self.inside.subscribe(lambda item: self.queue.add(key_of(item)))

    async def _look(self, key: Key) -> float | None:
        host, shown = self.outside.get(*key), self.inside.get(*key)
        if host is None:
            if shown is not None:
                await self._site.kube.delete(self._kind, None, key[1])
            return None
        if shown is None:
            await self._site.kube.ensure(self._kind, mirrored(self._kind, host))
        if self._kind is NODE and (shown is None or _looks(host) != _looks(shown)):
            await refresh_node(self._site, host)
        return None


def mirrored(kind: Resource, host: Obj) -> Obj:
    """What is shown of a host object."""
    meta = host["metadata"]
    labels = {**(meta.get("labels") or {}), _MIRRORED: "true"}
    body: dict[str, Any] = {
        "metadata": {
            "name": meta["name"],
            "labels": labels,
            "annotations": dict(meta.get("annotations") or {}),
        }
    }
    return body | {name: host[name] for name in _CARRIED[kind] if name in host}


def _looks(node: Obj) -> tuple[Any, ...]:
    labels = {k: v for k, v in (node["metadata"].get("labels") or {}).items() if k != _MIRRORED}
    status = node.get("status") or {}
    spec = node.get("spec") or {}
    shown = (status.get("allocatable"), status.get("conditions"))
    return labels, *shown, spec.get("taints"), spec.get("unschedulable")


async def refresh_node(site: Site, host: Obj) -> None:
    """Bring labels, taints and status of a shown node up to date."""
    name = host["metadata"]["name"]
    spec = host.get("spec") or {}
    labels = {**(host["metadata"].get("labels") or {}), _MIRRORED: "true"}
    change = {
        "metadata": {"labels": labels},
        "spec": {"taints": spec.get("taints"), "unschedulable": spec.get("unschedulable")},
    }
    await site.kube.patch(NODE, None, name, change)
    status = {**(host.get("status") or {}), **_kubelet(site)}
    await site.kube.patch(NODE, None, name, {"status": status}, sub="status")


async def point_nodes(site: Site) -> None:
    """Tell the nodes that are shown already where their kubelet is now."""
    shown, _ = await site.kube.list(NODE, selector=_MIRRORED)
    for node in shown:
        change = {"status": _kubelet(site)}
        await site.kube.patch(NODE, None, node["metadata"]["name"], change, sub="status")


def _kubelet(site: Site) -> Obj:
    """Where a node's kubelet answers this API server: not where it answers the host's."""
    return {"daemonEndpoints": {"kubeletEndpoint": {"Port": site.kubelet_port}}}


class NodeSync:
    """Shows the selected host nodes, or (when none are selected) those that pods run on."""

    def __init__(self, world: World, site: Site, labels: dict[str, str] | None) -> None:
        self._world, self._site = world, site
        self._shown: set[str] = set()
        self.mirror = Mirror(world, site, NODE, labels) if labels is not None else None

    async def show(self, name: str) -> None:
        """See to it that a node a pod was bound to on the host exists inside."""
        if self.mirror is not None or name in self._shown:
            return
        host = await self._world.host.kube.get(NODE, None, name)
        if host is not None:
            await self._site.kube.ensure(NODE, mirrored(NODE, host))
            await refresh_node(self._site, host)
            self._shown.add(name)


class Replicas:
    """Host Services that appear inside: `mapping` is host key to virtual key."""

    def __init__(self, world: World, site: Site, mapping: dict[Key, Key]) -> None:
        self._world, self._site, self._mapping = world, site, mapping
        self.queue = Reconciler("replicated services", self._look)

    def begin(self) -> None:
        """Start to hear of changes."""
        self._world.host.services.subscribe(self._changed)
        for key in self._mapping:
            self.queue.add(key)

    def end(self) -> None:
        """Stop hearing of changes on the host."""
        self._world.host.services.unsubscribe(self._changed)

    def _changed(self, service: Obj) -> None:
        if key_of(service) in self._mapping:
            self.queue.add(key_of(service))

    async def _look(self, key: Key) -> float | None:
        namespace, name = self._mapping[key]
        host = self._world.host.services.get(*key)
        shown = self._site.services.get(namespace, name)
        if host is None:
            if shown is not None:
                await self._site.kube.delete(SERVICE, namespace, name)
            return None
        notes = dict(host["metadata"].get("annotations") or {})
        notes = {k: v for k, v in notes.items() if not k.startswith("kubectl.")}
        if shown is not None:
            known = shown["metadata"].get("annotations") or {}
            if not notes.items() <= known.items():
                change = {"metadata": {"annotations": notes}}
                await self._site.kube.patch(SERVICE, namespace, name, change)
            return None
        return await self._create(host, namespace, name, notes)

    async def _create(
        self, host: Obj, namespace: str, name: str, notes: dict[str, str]
    ) -> float | None:
        ports = [
            {k: v for k, v in port.items() if k != "nodePort"} for port in host["spec"]["ports"]
        ]
        labels = {CONTROLLED_BY: "vcluster"}
        body = {
            "metadata": {
                "name": name, "namespace": namespace, "annotations": notes, "labels": labels
            },
            "spec": {"clusterIP": "None", "ports": ports},
        }  # fmt: skip
        try:
            await self._site.kube.ensure(NAMESPACE, {"metadata": {"name": namespace}})
            await self._site.kube.create(SERVICE, body)
        except ApiError as refusal:
            if refusal.code in (404, 409):
                return 0.5
            raise
        return None
