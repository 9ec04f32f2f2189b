"""Stand-in for Volcano: binds gangs as a whole or not at all.

It knows PodGroups and Queues with `capability`; it neither preempts nor shares by weight.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import defaultdict

import httpx2

from atoll.hosts.sandbox.agent.gang import Amounts, Room, added, amounts, demand, place, within
from atoll.hosts.sandbox.agent.informer import Informer
from atoll.hosts.sandbox.agent.kubelet import RunningPod
from atoll.hosts.sandbox.agent.world import Site
from atoll.hosts.sandbox.kube import NODE, POD, POD_GROUP, QUEUE, ApiError, Obj
from atoll.hosts.sandbox.objects import now

log = logging.getLogger(__name__)
GROUP_NOTES = ("scheduling.k8s.io/group-name", "scheduling.volcano.sh/group-name")
QUEUE_NOTE = "scheduling.volcano.sh/queue-name"
_PERIOD_SECONDS = 0.5
_OVER = ("Succeeded", "Failed")


class Volcano:
    """Program of the image volcanosh/vc-scheduler."""

    async def run(self, pod: RunningPod) -> int:
        """Schedule for the API server this pod was installed in, until cancelled."""
        arguments = pod.manifest["spec"]["containers"][0].get("args") or []
        flags = dict(arg.split("=", 1) for arg in arguments if "=" in arg)
        scheduler = GangScheduler(pod.site, flags.get("--scheduler-name", "volcano"))
        async with asyncio.TaskGroup() as group:
            for informer in scheduler.informers:
                group.create_task(informer.run())
            await asyncio.gather(*(informer.synced.wait() for informer in scheduler.informers))
            await scheduler.settle_queues()
            await pod.ready({})
            group.create_task(scheduler.run())
        return 1


class GangScheduler:
    """One gang scheduler for one API server."""

    def __init__(self, site: Site, name: str) -> None:
        self._site, self._name, self._session = site, name, str(uuid.uuid4())
        self._nodes = Informer(site.kube, NODE)
        self._pods = Informer(site.kube, POD)
        self._groups = Informer(site.kube, POD_GROUP)
        self._queues = Informer(site.kube, QUEUE)
        self._bound: dict[str, str] = {}
        self.informers = [self._nodes, self._pods, self._groups, self._queues]

    async def run(self) -> None:
        """A cycle every half second, until cancelled."""
        while True:
            try:
                await self.settle_queues()
                await self._cycle()
            except (ApiError, httpx2.HTTPError) as problem:
                log.warning("gang scheduler of %s: %r", self._site.name, problem)
            await asyncio.sleep(_PERIOD_SECONDS)

    async def settle_queues(self) -> None:
        """Make the queues root and default, and open every queue."""
        for name, spec in (
            ("root", {"weight": 1, "reclaimable": False}),
            ("default", {"weight": 1, "reclaimable": True, "parent": "root"}),
        ):
            if self._queues.get("", name) is None:
                await self._site.kube.ensure(QUEUE, {"metadata": {"name": name}, "spec": spec})
        for queue in self._queues.all():
            if (queue.get("status") or {}).get("state") != "Open":
                change = {"status": {"state": "Open", "reservation": {}}}
                await self._site.kube.patch(
                    QUEUE, None, queue["metadata"]["name"], change, sub="status"
                )

    async def _cycle(self) -> None:
        pods = [
            pod for pod in self._pods.all() if (pod.get("status") or {}).get("phase") not in _OVER
        ]
        rooms = self._rooms(pods)
        members: dict[tuple[str, str], list[Obj]] = defaultdict(list)
        for pod in pods:
            if pod["spec"].get("schedulerName") == self._name:
                members[pod["metadata"]["namespace"], await self._group_of(pod)].append(pod)
        used = self._used(members)
        for key, group in sorted(self._groups.items.items(), key=lambda item: _age(item[1])):
            await self._serve(group, members.get(key, []), rooms, used)

    def _rooms(self, pods: list[Obj]) -> list[Room]:
        taken: dict[str, list[Amounts]] = defaultdict(list)
        for pod in pods:
            node = pod["spec"].get("nodeName") or self._bound.get(pod["metadata"]["uid"])
            if node:
                taken[node].append(demand(pod))
        rooms = []
        for node in self._nodes.all():
            total = amounts((node.get("status") or {}).get("allocatable") or {})
            used = added(*taken[node["metadata"]["name"]])
            rooms.append(Room(node, added(total, {name: -value for name, value in used.items()})))
        return rooms

    async def _group_of(self, pod: Obj) -> str:
        """Name of the pod's PodGroup; a pod without one gets one of its own, as in Volcano."""
        notes = pod["metadata"].get("annotations") or {}
        for note in GROUP_NOTES:
            if note in notes:
                return str(notes[note])
        name = f"podgroup-{pod['metadata']['uid']}"
        namespace = pod["metadata"]["namespace"]
        if self._groups.get(namespace, name) is None:
            spec = {"minMember": 1, "queue": notes.get(QUEUE_NOTE, "default")}
            owner = {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"],
                     "uid": pod["metadata"]["uid"]}  # fmt: skip
            meta = {"name": name, "namespace": namespace, "ownerReferences": [owner]}
            await self._site.kube.ensure(POD_GROUP, {"metadata": meta, "spec": spec})
        return name

    def _used(self, members: dict[tuple[str, str], list[Obj]]) -> dict[str, Amounts]:
        used: dict[str, Amounts] = defaultdict(dict)
        for key, pods in members.items():
            group = self._groups.get(*key)
            if group is not None:
                queue = group["spec"].get("queue") or "default"
                running = [demand(pod) for pod in pods if self._is_bound(pod)]
                used[queue] = added(used[queue], *running)
        return used

    def _is_bound(self, pod: Obj) -> bool:
        return bool(pod["spec"].get("nodeName")) or pod["metadata"]["uid"] in self._bound

    async def _serve(
        self, group: Obj, pods: list[Obj], rooms: list[Room], used: dict[str, Amounts]
    ) -> None:
        least = int(group["spec"].get("minMember") or 1)
        bound = [pod for pod in pods if self._is_bound(pod)]
        pending = [
            pod for pod in pods
            if not self._is_bound(pod) and not pod["metadata"].get("deletionTimestamp")
        ]  # fmt: skip
        reason = ""
        if pending:
            reason = await self._try(group, pending, least - len(bound), rooms, used)
            if not reason:
                bound += pending
        if len(bound) < least and not reason:
            reason = f"pod group is not ready, {len(pods)} tasks of {least} minAvailable"
        await self._report(group, pods, len(bound), least, reason)

    async def _try(
        self, group: Obj, pending: list[Obj], missing: int, rooms: list[Room],
        used: dict[str, Amounts],
    ) -> str:  # fmt: skip
        """Bind what is pending if enough of it fits; else say why not."""
        name = group["spec"].get("queue") or "default"
        queue = self._queues.get("", name)
        count = f"{len(pending)} Pending, {max(missing, 1)} minAvailable"
        if len(pending) < missing:
            return (
                f"pod group is not ready, {count}: {missing - len(pending)} tasks do not exist yet"
            )
        if queue is None:
            return f"pod group is not ready, {count}; queue {name} does not exist"
        asked = added(*(demand(pod) for pod in pending))
        cap = amounts((queue["spec"] or {}).get("capability") or {})
        if not within(used[name], asked, cap):
            return f"pod group is not ready, {count}; queue {name} resource quota insufficient"
        chosen = place(pending, rooms, max(missing, 1))
        if chosen is None:
            return f"pod group is not ready, {count}; Pending: {len(pending)} Unschedulable"
        used[name] = added(used[name], asked)
        for pod in pending:
            if pod["metadata"]["name"] in chosen:
                await self._bind(pod, chosen[pod["metadata"]["name"]])
        return ""

    async def _bind(self, pod: Obj, node: str) -> None:
        meta = pod["metadata"]
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {key: meta[key] for key in ("name", "namespace", "uid")},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        # The watch tells of the binding only later; until then it is remembered here.
        self._bound[meta["uid"]] = node
        try:
            await self._site.kube.bind(meta["namespace"], meta["name"], binding)
        except ApiError:
            self._bound.pop(meta["uid"], None)
            raise

    async def _report(
        self, group: Obj, pods: list[Obj], bound: int, least: int, reason: str
    ) -> None:
        status = dict(group.get("status") or {})
        running = sum((pod.get("status") or {}).get("phase") == "Running" for pod in pods)
        enough = bound >= least and bound > 0
        waits = "Inqueue" if "quota" not in reason and pods else "Pending"
        wanted = {**status, "phase": "Running" if enough else waits, "running": running}
        unplaced = len(pods) - bound
        message = (
            f"{unplaced}/{len(pods)} tasks in gang unschedulable: {reason}"
            if reason and pods
            else ""
        )
        wanted["conditions"] = _conditions(status, message, enough, self._session)
        if wanted != status:
            meta = group["metadata"]
            await self._site.kube.patch(
                POD_GROUP, meta["namespace"], meta["name"], {"status": wanted}
            )
            if message:
                await self._mark(pods, message)

    async def _mark(self, pods: list[Obj], message: str) -> None:
        for pod in pods:
            if self._is_bound(pod):
                continue
            condition = {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": message,
                "lastTransitionTime": now(),
            }
            meta = pod["metadata"]
            await self._site.kube.patch(
                POD, meta["namespace"], meta["name"], {"status": {"conditions": [condition]}},
                sub="status", form="strategic",
            )  # fmt: skip


def _age(group: Obj) -> tuple[str, str]:
    return group["metadata"]["creationTimestamp"], group["metadata"]["name"]


def _conditions(status: Obj, message: str, enough: bool, session: str) -> list[Obj]:
    """Volcano's conditions; those that say the same as before stay as they are."""
    known = {one["type"]: one for one in status.get("conditions") or []}
    if message and known.get("Unschedulable", {}).get("message") != message:
        known["Unschedulable"] = {
            "type": "Unschedulable",
            "status": "True",
            "reason": "NotEnoughResources",
            "message": message,
            "transitionID": session,
            "lastTransitionTime": now(),
        }
        known.pop("Scheduled", None)
    if enough and "Scheduled" not in known:
        known = {
            "Scheduled": {
                "type": "Scheduled",
                "status": "True",
                "reason": "tasks in gang are ready to be scheduled",
                "transitionID": session,
                "lastTransitionTime": now(),
            }
        }
    return list(known.values())
