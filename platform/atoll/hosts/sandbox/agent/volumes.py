"""Binds claims of class `standard` at once to made-up volumes, and removes these with them."""

from __future__ import annotations

import shutil

from atoll.hosts.sandbox.agent.informer import Informer, Key, Reconciler, key_of
from atoll.hosts.sandbox.agent.world import World
from atoll.hosts.sandbox.kube import CLAIM, VOLUME, Obj
from atoll.hosts.sandbox.objects import VOLUME_PROVISIONER

_CLASS = "standard"


class Volumes:
    """The provisioner and binder of the sandbox's storage class."""

    def __init__(self, world: World) -> None:
        self._world, self._kube = world, world.host.kube
        self.volumes = Informer(self._kube, VOLUME)
        self.claims = Reconciler("claims", self._look_claim)
        self.queue = Reconciler("volumes", self._look_volume)

    def begin(self) -> None:
        """Start to hear of changes."""
        self._world.claims.subscribe(lambda claim: self.claims.add(key_of(claim)))
        self._world.claims.subscribe(self._claim_changed)
        self.volumes.subscribe(lambda volume: self.queue.add(key_of(volume)))

    def _claim_changed(self, claim: Obj) -> None:
        self.queue.add(("", f"pvc-{claim['metadata']['uid']}"))

    async def _look_claim(self, key: Key) -> float | None:
        claim = self._world.claims.get(*key)
        if claim is None or claim["metadata"].get("deletionTimestamp"):
            return None
        if claim["spec"].get("storageClassName") != _CLASS:
            return None
        if (claim.get("status") or {}).get("phase") == "Bound":
            return None
        volume = f"pvc-{claim['metadata']['uid']}"
        await self._kube.ensure(VOLUME, _volume(volume, claim))
        await self._kube.patch(VOLUME, None, volume, {"status": {"phase": "Bound"}}, sub="status")
        note = {"pv.kubernetes.io/bind-completed": "yes"}
        change = {"metadata": {"annotations": note}, "spec": {"volumeName": volume}}
        await self._kube.patch(CLAIM, *key, change)
        status = {
            "phase": "Bound",
            "accessModes": claim["spec"]["accessModes"],
            "capacity": claim["spec"]["resources"]["requests"],
        }
        await self._kube.patch(CLAIM, *key, {"status": status}, sub="status")
        return None

    async def _look_volume(self, key: Key) -> float | None:
        volume = self.volumes.get(*key)
        if volume is None:
            return None
        made = (volume["metadata"].get("annotations") or {}).get("pv.kubernetes.io/provisioned-by")
        if made != VOLUME_PROVISIONER:
            return None
        owner = volume["spec"]["claimRef"]
        claim = self._world.claims.get(owner["namespace"], owner["name"])
        if claim is not None and claim["metadata"]["uid"] == owner["uid"]:
            return None
        if not volume["metadata"].get("deletionTimestamp"):
            await self._kube.delete(VOLUME, None, key[1])
        await self._kube.patch(VOLUME, None, key[1], {"metadata": {"finalizers": None}})
        shutil.rmtree(self._world.root / "volumes" / owner["uid"], ignore_errors=True)
        return None


def _volume(name: str, claim: Obj) -> Obj:
    meta = claim["metadata"]
    reference = {"namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}
    return {
        "metadata": {
            "name": name,
            "annotations": {"pv.kubernetes.io/provisioned-by": VOLUME_PROVISIONER},
        },
        "spec": {
            "accessModes": claim["spec"]["accessModes"],
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **reference},
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": _CLASS,
            "csi": {"driver": "volumes.sandbox.atoll.dev", "volumeHandle": name},
        },
    }
