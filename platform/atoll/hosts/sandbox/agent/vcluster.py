"""A virtual cluster: its own kube-apiserver and controllers, the syncer, and the kubeconfig Secret.

In dedicated mode a real kube-scheduler runs inside (about 60 MiB): binding pods in the agent
would be smaller, but would not honour taints, affinity and priorities as tenants expect.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from pathlib import Path
from typing import Protocol

from atoll.hosts.detached import Record
from atoll.hosts.recipes import KUBERNETES
from atoll.hosts.sandbox import controlplane, kubeconfig, layout
from atoll.hosts.sandbox.agent import copies
from atoll.hosts.sandbox.agent.informer import Reconciler, key_of
from atoll.hosts.sandbox.agent.kubelet import RunningPod
from atoll.hosts.sandbox.agent.logserver import of_tenant, serving
from atoll.hosts.sandbox.agent.nodesync import Mirror, NodeSync, Replicas, point_nodes
from atoll.hosts.sandbox.agent.podsync import PodSync
from atoll.hosts.sandbox.agent.stores import Store, identity_of
from atoll.hosts.sandbox.agent.tenantconfig import TenantConfig, emulated
from atoll.hosts.sandbox.agent.translate import Tenancy
from atoll.hosts.sandbox.agent.world import Site, World, ended
from atoll.hosts.sandbox.certificates import Certificates, issue
from atoll.hosts.sandbox.kube import (
    POD,
    PRIORITY_CLASS,
    SECRET,
    SERVICE,
    STORAGE_CLASS,
    Kube,
    Obj,
)

log = logging.getLogger(__name__)
_READY_SECONDS = 90
_PORT = 8443


class Part(Protocol):
    """A part of the syncer."""

    queue: Reconciler

    def begin(self) -> None:
        """Start to hear of changes."""


class VirtualCluster:
    """Program of the image loft-sh/vcluster-oss."""

    async def run(self, pod: RunningPod) -> int:
        """Serve until a process ends; everything but the store goes with the pod."""
        release = pod.labels["release"]
        world, namespace = pod.world, pod.host_namespace
        secret = await world.host.kube.get(SECRET, namespace, f"vc-config-{release}")
        identity = identity_of(pod.manifest, world)
        if secret is None or identity is None:
            await pod.waiting("ContainerCreating", "waits for its configuration and its volume")
            await asyncio.sleep(0.5)
            return await self.run(pod)
        config = TenantConfig.read(secret, namespace)
        control = ControlPlane(world, pod, Store(world.root, identity), config)
        site: Site | None = None
        try:
            await pod.started()
            site = await control.start()
            lookup = of_tenant(world, namespace, release)
            async with serving(world.root, lookup, control.certificates) as site.kubelet_port:
                await point_nodes(site)
                return await self._serve(pod, control, site, config)
        finally:
            world.tenants.pop((namespace, release), None)
            if site is not None:
                pod.endpoints.forget(site)
            # A cancelled task may still clean up, but slowly: the processes end elsewhere.
            await asyncio.shield(asyncio.to_thread(control.stop))
            if site is not None:
                await site.kube.close()

    async def _serve(
        self, pod: RunningPod, control: ControlPlane, site: Site, config: TenantConfig
    ) -> int:
        release, namespace = pod.labels["release"], pod.host_namespace
        async with asyncio.TaskGroup() as group:
            syncer = group.create_task(_sync(pod, site, release, namespace, config))
            await site.services.synced.wait()
            pod.world.tenants[namespace, release] = site
            await pod.ready({_PORT: control.port})
            await control.publish(release, config)
            log.info("virtual cluster %s/%s serves on port %d", namespace, release, control.port)
            await ended(*control.records)
            syncer.cancel()
        log.warning("a process of %s/%s ended", namespace, release)
        return 1


class ControlPlane:
    """The processes of one virtual cluster."""

    def __init__(self, world: World, pod: RunningPod, store: Store, config: TenantConfig) -> None:
        self._world, self._pod, self._store, self._config = world, pod, store, config
        self.port = 0
        self.records: list[Record] = []

    @property
    def certificates(self) -> Certificates:
        """The authority of this virtual cluster."""
        return self._store.certificates

    def _unit(self, part: str) -> str:
        return f"vc-{self._pod.uid}-{part}"

    async def start(self) -> Site:
        """Start (or find again) the processes; the site once its API server is ready."""
        running = self._world.processes.find(self._unit("apiserver")) is not None
        self.port = self._store.port(running=running)
        self._start("apiserver", await asyncio.to_thread(self._apiserver))
        kube = Kube.of(f"https://127.0.0.1:{self.port}", self._store.certificates)
        for _ in range(_READY_SECONDS * 20):
            if await kube.ready():
                break
            if self._world.processes.find(self._unit("apiserver")) is None:
                raise RuntimeError(f"kube-apiserver ended; see {self._log('apiserver')}")
            await asyncio.sleep(0.05)
        self._start_rest()
        name = f"{self._pod.host_namespace}/{self._pod.labels['release']}"
        return Site(name, kube)

    def _apiserver(self) -> controlplane.Command:
        release, namespace = self._pod.labels["release"], self._pod.host_namespace
        inside = [release, f"{release}.{namespace}", "kubernetes.default.svc", *self._config.names]
        certificates = issue(self._store.folder / "pki", inside)
        host = layout.host_certificates(self._world.root)
        etcd = layout.host_ports(self._world.root)["etcd"]
        version, _ = emulated(self._config.kubernetes, KUBERNETES)
        return controlplane.apiserver(
            self._world.tools["kube-apiserver"], self.port, certificates,
            (etcd, host, self._store.prefix), version=version,
        )  # fmt: skip

    def _start_rest(self) -> None:
        folder, tools = self._store.folder, self._world.tools
        path = folder / "kubeconfig"
        server = f"https://127.0.0.1:{self.port}"
        text = kubeconfig.render("inside", server, self._store.certificates)
        kubeconfig.write_private(path, text)
        manager = controlplane.controller_manager(
            tools["kube-controller-manager"], path, self._store.certificates,
            controlplane.TENANT_CONTROLLERS, folder,
        )  # fmt: skip
        self._start("controllers", manager)
        if self._config.own_scheduler:
            self._start("scheduler", controlplane.scheduler(tools["kube-scheduler"], path))

    def _start(self, part: str, command: controlplane.Command) -> None:
        record = self._world.processes.start(
            self._unit(part), command.argv, self._log(part), command.env
        )
        self.records.append(record)

    def _log(self, part: str) -> Path:
        return self._pod.log.with_name(f"{self._pod.host_name}-{part}.log")

    def stop(self) -> None:
        """End the processes; the store stays."""
        for part in ("scheduler", "controllers", "apiserver"):
            if self._unit(part) in self._world.processes.names():
                self._world.processes.stop(self._unit(part), grace=2)

    async def publish(self, release: str, config: TenantConfig) -> None:
        """Write the kubeconfig Secret and say on the pod which version really runs."""
        server = f"https://127.0.0.1:{self.port}"
        certificates = self._store.certificates
        cert, key = certificates.admin
        data = {
            "config": kubeconfig.render(config.context or release, server, certificates).encode(),
            "certificate-authority": certificates.ca.read_bytes(),
            "client-certificate": cert.read_bytes(),
            "client-key": key.read_bytes(),
        }
        host, namespace = self._world.host.kube, self._pod.host_namespace
        await host.apply(
            SECRET,
            {
                "metadata": {
                    "name": f"vc-{release}",
                    "namespace": namespace,
                    "labels": {"app": "vcluster", "vcluster-name": release},
                    "ownerReferences": [await _owner(host, namespace, release)],
                },
                "type": "Opaque",
                "data": {name: base64.b64encode(value).decode() for name, value in data.items()},
            },
        )
        _, note = emulated(config.kubernetes, KUBERNETES)
        change = {"metadata": {"annotations": {"sandbox.atoll.dev/note": note}}}
        await host.patch(POD, namespace, self._pod.host_name, change)


async def _owner(host: Kube, namespace: str, release: str) -> Obj:
    service = await host.get(SERVICE, namespace, release)
    if service is None:
        raise RuntimeError(f"the Service {namespace}/{release} of the virtual cluster is gone")
    uid = service["metadata"]["uid"]
    return {"apiVersion": "v1", "kind": "Service", "name": release, "uid": uid}


async def _sync(
    pod: RunningPod, site: Site, release: str, namespace: str, config: TenantConfig
) -> None:
    """The syncer of one virtual cluster, until cancelled."""
    world = pod.world
    host = world.host.kube
    tenancy = Tenancy(
        release,
        namespace,
        own_scheduler=config.own_scheduler,
        node_labels=config.pinned_labels,
        keep_priority=config.priority_classes,
        default_priority=config.default_priority,
        owner=await _owner(host, namespace, release) if config.set_owner else None,
    )
    nodes = NodeSync(world, site, config.node_labels)
    pods = PodSync(world, site, tenancy, nodes)
    copied = [copies.services(site, host, tenancy), copies.claims(site, host, tenancy)]
    mirrors = [Mirror(world, site, STORAGE_CLASS, {})]
    if config.priority_classes:
        mirrors.append(Mirror(world, site, PRIORITY_CLASS, {}))
    if nodes.mirror is not None:
        mirrors.append(nodes.mirror)
    replicas = Replicas(world, site, config.replicated)
    services = Reconciler("endpoints", lambda key: pod.endpoints.look(site, key))
    informers = [site.services, pods.inside, copied[1].inside]
    informers += [one.outside for one in copied]
    informers += [one for mirror in mirrors for one in (mirror.inside, mirror.outside)]
    parts: list[Part] = [pods, *copied, *mirrors, replicas]
    try:
        async with asyncio.TaskGroup() as group:
            for informer in informers:
                group.create_task(informer.run())
            await asyncio.gather(*(informer.synced.wait() for informer in informers))
            for part in parts:
                part.begin()
            site.services.subscribe(lambda service: services.add(key_of(service)))
            for queue in (services, *(part.queue for part in parts)):
                group.create_task(queue.run())
    finally:
        pods.end()
        replicas.end()


async def remove_stray(world: World) -> None:
    """End the processes of virtual clusters whose pod went while no agent was there."""
    alive = {pod["metadata"]["uid"] for pod in world.pods.all()}
    for name in world.processes.names():
        uid = name.removeprefix("vc-").removeprefix("pod-")[:36]
        if name.startswith(("vc-", "pod-")) and uid not in alive:
            await asyncio.to_thread(world.processes.stop, name)
