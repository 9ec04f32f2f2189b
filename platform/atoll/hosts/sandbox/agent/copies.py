"""Objects of a virtual cluster that the host gets copies of: Services, claims, pods' Secrets."""

from __future__ import annotations

import copy
from collections.abc import Callable

from atoll.hosts.sandbox.agent.informer import Informer, Key, Reconciler, key_of
from atoll.hosts.sandbox.agent.translate import (
    Tenancy,
    host_service,
    metadata,
    references,
)
from atoll.hosts.sandbox.agent.world import (
    CONTROLLED_BY,
    MANAGED_BY,
    OBJECT_NAME,
    OBJECT_NAMESPACE,
    Site,
)
from atoll.hosts.sandbox.kube import (
    CLAIM,
    CONFIG_MAP,
    SECRET,
    SERVICE,
    Kube,
    Obj,
    Resource,
)

_REFERRED = {"Secret": SECRET, "ConfigMap": CONFIG_MAP}


def host_claim(claim: Obj, tenancy: Tenancy) -> Obj:
    """The host copy of a virtual PersistentVolumeClaim."""
    spec = copy.deepcopy(claim["spec"])
    for bound in ("volumeName", "dataSource", "dataSourceRef"):
        spec.pop(bound, None)
    meta = metadata(claim, "PersistentVolumeClaim", tenancy)
    for note in [note for note in meta["annotations"] if note.startswith(("pv.", "volume."))]:
        del meta["annotations"][note]
    return {"metadata": meta, "spec": spec}


_TRANSLATORS: dict[Resource, Callable[[Obj, Tenancy], Obj]] = {
    SERVICE: host_service,
    CLAIM: host_claim,
}


class Copies:
    """Keeps host copies of one kind, and brings the status of claims back."""

    def __init__(
        self, site: Site, host: Kube, tenancy: Tenancy, *, kind: Resource, inside: Informer
    ) -> None:
        self._site, self._host, self._tenancy, self._kind = site, host, tenancy, kind
        self._translate = _TRANSLATORS[kind]
        self.inside = inside
        selector = f"{MANAGED_BY}={tenancy.name}"
        self.outside = Informer(host, kind, tenancy.namespace, selector)
        self.queue = Reconciler(f"copy {kind.plural}", self._look)

    def begin(self) -> None:
        """Start to hear of changes; both copies must be in step with their servers."""
        self.inside.subscribe(lambda item: self.queue.add(key_of(item)))
        self.outside.subscribe(self._host_changed)

    def _host_changed(self, item: Obj) -> None:
        notes = item["metadata"].get("annotations") or {}
        if OBJECT_NAME in notes:
            self.queue.add((notes[OBJECT_NAMESPACE], notes[OBJECT_NAME]))

    async def _look(self, key: Key) -> float | None:
        namespace, name = key
        if (self._kind is SERVICE) and key == ("default", "kubernetes"):
            return None
        virtual = self.inside.get(namespace, name)
        host_name = self._tenancy.host_name(name, namespace)
        present = self.outside.get(self._tenancy.namespace, host_name)
        if virtual is None or virtual["metadata"].get("deletionTimestamp") or _is_replica(virtual):
            if present is not None:
                await self._host.delete(self._kind, self._tenancy.namespace, host_name)
            return None
        wanted = self._translate(virtual, self._tenancy)
        if present is None:
            await self._host.ensure(self._kind, wanted)
        elif self._kind is SERVICE and _differs(wanted, present):
            await self._host.patch(
                self._kind, self._tenancy.namespace, host_name,
                {"metadata": {"annotations": wanted["metadata"]["annotations"],
                              "labels": wanted["metadata"]["labels"]},
                 "spec": {"ports": wanted["spec"].get("ports"),
                          "selector": wanted["spec"].get("selector")}},
            )  # fmt: skip
        if self._kind is CLAIM and present is not None:
            await self._bring_back(virtual, present)
        return None

    async def _bring_back(self, virtual: Obj, present: Obj) -> None:
        volume = present["spec"].get("volumeName")
        status = present.get("status") or {}
        where = key_of(virtual)
        if volume and not virtual["spec"].get("volumeName"):
            await self._site.kube.patch(CLAIM, *where, {"spec": {"volumeName": volume}})
        if status and status != virtual.get("status"):
            await self._site.kube.patch(CLAIM, *where, {"status": status}, sub="status")


def _is_replica(virtual: Obj) -> bool:
    """Whether vcluster brought it in from the host; such an object is not copied back (syncer.go,
    excludeVirtual), so it takes nothing of the quota.
    """
    return bool((virtual["metadata"].get("labels") or {}).get(CONTROLLED_BY))


def _differs(wanted: Obj, present: Obj) -> bool:
    notes = present["metadata"].get("annotations") or {}
    tags = present["metadata"].get("labels") or {}
    return (
        not wanted["metadata"]["annotations"].items() <= notes.items()
        or not wanted["metadata"]["labels"].items() <= tags.items()
        or (wanted["spec"].get("selector") or {}) != (present["spec"].get("selector") or {})
    )


def services(site: Site, host: Kube, tenancy: Tenancy) -> Copies:
    """Copies of Services."""
    return Copies(site, host, tenancy, kind=SERVICE, inside=site.services)


def claims(site: Site, host: Kube, tenancy: Tenancy) -> Copies:
    """Copies of PersistentVolumeClaims."""
    return Copies(site, host, tenancy, kind=CLAIM, inside=Informer(site.kube, CLAIM))


async def copy_referred(site: Site, host: Kube, tenancy: Tenancy, pod: Obj) -> None:
    """Bring the Secrets and ConfigMaps a virtual pod names to the host, as they are now."""
    namespace = pod["metadata"]["namespace"]
    wanted = {
        (kind, holder[name])
        for kind, holder, name in references(copy.deepcopy(pod["spec"]))
        if kind in _REFERRED
    }
    for kind, name in wanted:
        found = await site.kube.get(_REFERRED[kind], namespace, name)
        if found is None:
            continue
        body: Obj = {"metadata": metadata(found, kind, tenancy), "data": found.get("data") or {}}
        if kind == "Secret":
            body["type"] = "Opaque"
        await host.apply(_REFERRED[kind], body)
