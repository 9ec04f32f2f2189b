"""Stand-in for the KubeRay operator: RayClusters and RayJobs of one API server."""

from __future__ import annotations

import asyncio
import logging
import secrets

from atoll.hosts.sandbox.agent import rediscleanup
from atoll.hosts.sandbox.agent.informer import Informer, Key, Reconciler, key_of
from atoll.hosts.sandbox.agent.kubelet import RunningPod
from atoll.hosts.sandbox.agent.rayjob import RayJobs
from atoll.hosts.sandbox.agent.raypods import (
    CLEANUP_FINALIZER,
    group_name,
    groups,
    head_pod,
    head_service,
    origin,
    pod_group,
    storage_namespace,
    worker_name,
    worker_pod,
)
from atoll.hosts.sandbox.agent.raystatus import cluster_status
from atoll.hosts.sandbox.agent.world import Site
from atoll.hosts.sandbox.kube import (
    POD,
    POD_GROUP,
    RAY_CLUSTER,
    RAY_SERVICE,
    SERVICE,
    ApiError,
    Obj,
)
from atoll.hosts.sandbox.objects import now

log = logging.getLogger(__name__)
PLAYED = ("", "volcano")
"""The batch schedulers that have a stand-in; with another one no Ray pod would ever be placed."""
_AGAIN_SECONDS = 2.0
_CLEANUP_SECONDS = 60.0


class KubeRay:
    """Program of the image kuberay/operator."""

    async def run(self, pod: RunningPod) -> int:
        """Play the operator for the API server this pod was installed in, until cancelled."""
        scheduler = _scheduler(pod.manifest)
        if scheduler not in PLAYED:
            words = f"the sandbox plays no scheduler {scheduler}; choose a profile with volcano"
            await pod.waiting("CrashLoopBackOff", words)
            await asyncio.sleep(2)
            return 1
        if scheduler == "volcano" and not await _defined(pod.site):
            # Like the real one: it watches PodGroups, so it cannot start without their definition.
            await pod.waiting("CrashLoopBackOff", "no matches for kind PodGroup")
            await asyncio.sleep(2)
            return 1
        operator = Operator(pod.site, scheduler)
        async with asyncio.TaskGroup() as group:
            for informer in operator.informers:
                group.create_task(informer.run())
            await asyncio.gather(*(informer.synced.wait() for informer in operator.informers))
            operator.begin()
            for queue in operator.queues:
                group.create_task(queue.run())
            await pod.ready({})
        return 1


def _scheduler(pod: Obj) -> str:
    arguments = pod["spec"]["containers"][0].get("args") or []
    if "--enable-batch-scheduler" in arguments:
        return "volcano"
    chosen = [a.partition("=")[2] for a in arguments if a.startswith("--batch-scheduler=")]
    return chosen[0] if chosen else ""


async def _defined(site: Site) -> bool:
    try:
        await site.kube.list(POD_GROUP)
    except ApiError as refusal:
        if refusal.code == 404:
            return False
        raise
    return True


class Operator:
    """The controllers of one operator."""

    def __init__(self, site: Site, scheduler: str) -> None:
        self._site, self._scheduler = site, scheduler
        self.clusters = Informer(site.kube, RAY_CLUSTER)
        self.pods = Informer(site.kube, POD, selector="ray.io/cluster")
        self._jobs = RayJobs(site, self.clusters, scheduler)
        self._services = Informer(site.kube, RAY_SERVICE)
        self.informers = [self.clusters, self.pods, self._jobs.jobs, self._services]
        self._cluster_queue = Reconciler("RayCluster", self._look)
        self._service_queue = Reconciler("RayService", self._look_service)
        self.queues = [self._cluster_queue, self._jobs.queue, self._service_queue]

    def begin(self) -> None:
        """Start to hear of changes."""
        self.clusters.subscribe(self._cluster_changed)
        self.pods.subscribe(self._pod_changed)
        self._services.subscribe(lambda item: self._service_queue.add(key_of(item)))
        self._jobs.begin()

    def _cluster_changed(self, cluster: Obj) -> None:
        self._cluster_queue.add(key_of(cluster))
        kind, name = origin(cluster)
        if kind == "RayJob":
            self._jobs.queue.add((cluster["metadata"]["namespace"], name))

    def _pod_changed(self, pod: Obj) -> None:
        name = pod["metadata"]["labels"]["ray.io/cluster"]
        self._cluster_queue.add((pod["metadata"]["namespace"], name))

    async def _look(self, key: Key) -> float | None:
        cluster = self.clusters.get(*key)
        if cluster is None:
            return None
        pods = self._pods_of(cluster)
        if cluster["metadata"].get("deletionTimestamp"):
            return await self._finish(cluster, pods)
        if cluster["spec"].get("suspend"):
            await self._remove(pods)
        else:
            await self._grow(cluster, pods)
        await self._report(cluster, pods)
        return _AGAIN_SECONDS if pods else None

    def _pods_of(self, cluster: Obj) -> list[Obj]:
        namespace, name = key_of(cluster)
        return [
            pod for pod in self.pods.all(namespace)
            if pod["metadata"]["labels"].get("ray.io/cluster") == name
        ]  # fmt: skip

    async def _grow(self, cluster: Obj, pods: list[Obj]) -> None:
        """Make what is missing, remove what is too much or has ended."""
        await self._hold_finalizer(cluster)
        await self._site.kube.ensure(SERVICE, head_service(cluster))
        if self._scheduler == "volcano":
            await self._settle_group(cluster)
        over = [pod for pod in pods if _over(pod)]
        await self._remove(over)
        living = [pod for pod in pods if pod not in over]
        heads = [pod for pod in living if pod["metadata"]["labels"]["ray.io/node-type"] == "head"]
        if not heads and not any(_is_head(pod) for pod in over):
            await self._create(cluster, head_pod(cluster, self._scheduler))
        for group, count in groups(cluster):
            label = group["groupName"]
            present = [
                pod for pod in living
                if not _is_head(pod) and pod["metadata"]["labels"]["ray.io/group"] == label
            ]  # fmt: skip
            for _ in range(count - len(present)):
                name = worker_name(cluster["metadata"]["name"], label, secrets.token_hex(8))
                await self._create(cluster, worker_pod(cluster, group, name, self._scheduler))
            await self._remove(sorted(present, key=_readiness)[: max(0, len(present) - count)])

    async def _hold_finalizer(self, cluster: Obj) -> None:
        held = cluster["metadata"].get("finalizers") or []
        if storage_namespace(cluster) is not None and CLEANUP_FINALIZER not in held:
            change = {"metadata": {"finalizers": [*held, CLEANUP_FINALIZER]}}
            await self._site.kube.patch(RAY_CLUSTER, *key_of(cluster), change)

    async def _settle_group(self, cluster: Obj) -> None:
        kind, name = origin(cluster)
        namespace = cluster["metadata"]["namespace"]
        job = self._jobs.jobs.get(namespace, name) if kind == "RayJob" else None
        wanted = pod_group(cluster, job)
        present = await self._site.kube.get(POD_GROUP, namespace, group_name(cluster))
        if present is None:
            await self._site.kube.ensure(POD_GROUP, wanted)
        elif not wanted["spec"].items() <= present["spec"].items():
            change = {"spec": wanted["spec"]}
            await self._site.kube.patch(POD_GROUP, namespace, group_name(cluster), change)

    async def _create(self, cluster: Obj, pod: Obj) -> None:
        try:
            made = await self._site.kube.ensure(POD, pod)
        except ApiError as refusal:
            node = "Head" if _is_head(pod) else "Worker"
            await self._site.event(cluster, f"FailedToCreate{node}Pod", refusal.message)
            raise
        if made is not None:
            # The watch tells of the new pod only later; without this another one would be made.
            self.pods.items[key_of(made)] = made

    async def _remove(self, pods: list[Obj]) -> None:
        for pod in pods:
            if not pod["metadata"].get("deletionTimestamp"):
                await self._site.kube.delete(POD, *key_of(pod), uid=pod["metadata"]["uid"])

    async def _report(self, cluster: Obj, pods: list[Obj]) -> None:
        head = next((pod for pod in pods if _is_head(pod)), None)
        status = cluster_status(cluster, head, [pod for pod in pods if not _is_head(pod)])
        if status != cluster.get("status"):
            status["lastUpdateTime"] = now()
            await self._site.kube.patch(
                RAY_CLUSTER, *key_of(cluster), {"status": status}, sub="status"
            )

    async def _finish(self, cluster: Obj, pods: list[Obj]) -> float | None:
        """Delete the pods, then the keys in Redis, then let the cluster go."""
        held = cluster["metadata"].get("finalizers") or []
        if CLEANUP_FINALIZER not in held:
            return None
        await self._remove(pods)
        if pods:
            return 0.5
        try:
            async with asyncio.timeout(_CLEANUP_SECONDS):
                gone = await rediscleanup.clean(self._site, cluster)
            log.info("%s: removed %d keys of %s", self._site.name, gone, key_of(cluster))
        except (OSError, TimeoutError, rediscleanup.CleanupError) as problem:
            await self._site.event(cluster, "RedisCleanupFailed", f"keys may remain: {problem}")
        rest = [name for name in held if name != CLEANUP_FINALIZER]
        change = {"metadata": {"finalizers": rest or None}}
        await self._site.kube.patch(RAY_CLUSTER, *key_of(cluster), change)
        return None

    async def _look_service(self, key: Key) -> float | None:
        """RayServices are not played; say so where a user looks."""
        service = self._services.get(*key)
        if service is None or (service.get("status") or {}).get("conditions"):
            return None
        condition = {
            "type": "Ready",
            "status": "False",
            "reason": "NotInSandbox",
            "message": "The sandbox does not run RayServices; use a real host.",
            "lastTransitionTime": now(),
        }
        change = {"status": {"conditions": [condition], "serviceStatus": ""}}
        await self._site.kube.patch(RAY_SERVICE, *key, change, sub="status")
        return None


def _is_head(pod: Obj) -> bool:
    return bool(pod["metadata"]["labels"].get("ray.io/node-type") == "head")


def _over(pod: Obj) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _readiness(pod: Obj) -> tuple[bool, str]:
    """Pods that do not run yet go first when a group shrinks, then the youngest names."""
    running = (pod.get("status") or {}).get("phase") == "Running"
    return running, pod["metadata"]["name"]
