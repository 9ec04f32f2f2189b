"""What virtual clusters keep: a folder and a key prefix each, removed with their volume."""

from __future__ import annotations

import base64
import json
import logging
import shutil
import ssl
from pathlib import Path

import httpx2

from atoll.hosts.detached import free_port, port_is_free
from atoll.hosts.sandbox import kubeconfig, layout
from atoll.hosts.sandbox.agent.world import World
from atoll.hosts.sandbox.certificates import Certificates
from atoll.hosts.sandbox.kube import Obj

log = logging.getLogger(__name__)


class Store:
    """State of one virtual cluster; it lives as long as the claim (or else the pod) it is of."""

    def __init__(self, root: Path, identity: str) -> None:
        self.identity = identity
        self.folder = root / "tenants" / identity

    @property
    def prefix(self) -> str:
        """Key prefix in the shared etcd."""
        return f"/tenants/{self.identity}"

    @property
    def certificates(self) -> Certificates:
        """The authority of this virtual cluster."""
        return Certificates(self.folder / "pki")

    def port(self, *, running: bool) -> int:
        """The API server's port: always the same unless somebody else took it."""
        file = self.folder / "port"
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if file.exists() and (running or port_is_free(int(file.read_text()))):
            return int(file.read_text())
        kubeconfig.write_private(file, str(free_port()))
        return int(file.read_text())


def identity_of(pod: Obj, world: World) -> str | None:
    """The store of a control plane pod; None while its claim is not there yet."""
    for volume in pod["spec"].get("volumes") or []:
        if volume["name"] == "data" and "persistentVolumeClaim" in volume:
            name = volume["persistentVolumeClaim"]["claimName"]
            claim = world.claims.get(pod["metadata"]["namespace"], name)
            return f"claim-{claim['metadata']['uid']}" if claim else None
    return f"pod-{pod['metadata']['uid']}"


async def collect(world: World) -> None:
    """Remove the stores whose claim or pod is gone."""
    folder = world.root / "tenants"
    alive = {f"pod-{pod['metadata']['uid']}" for pod in world.pods.all()}
    alive |= {f"claim-{claim['metadata']['uid']}" for claim in world.claims.all()}
    for identity in _identities(folder) - alive:
        store = Store(world.root, identity)
        await delete_keys(world.root, store.prefix)
        shutil.rmtree(store.folder, ignore_errors=True)
        log.info("removed the store %s", identity)


def _identities(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()


async def delete_keys(root: Path, prefix: str) -> int:
    """Delete every key below a prefix from the shared etcd; how many there were."""
    certificates = layout.host_certificates(root)
    context = ssl.create_default_context(cafile=str(certificates.ca))
    context.load_cert_chain(*map(str, certificates.admin))
    url = f"https://127.0.0.1:{layout.host_ports(root)['etcd']}/v3/kv/deleterange"
    # "0" follows "/": the range holds exactly the keys below the prefix.
    key, end = (base64.b64encode((prefix + mark).encode()).decode() for mark in "/0")
    async with httpx2.AsyncClient(verify=context, trust_env=False, timeout=30) as client:
        answer = await client.post(url, content=json.dumps({"key": key, "range_end": end}))
    answer.raise_for_status()
    return int(answer.json().get("deleted", 0))
