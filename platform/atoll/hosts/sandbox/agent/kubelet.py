"""Runs the pods that have a real program, and reports on them as a kubelet would."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from atoll.hosts.sandbox import layout
from atoll.hosts.sandbox.agent.endpoints import Backend, Endpoints
from atoll.hosts.sandbox.agent.informer import Key, Reconciler, key_of
from atoll.hosts.sandbox.agent.world import Site, World
from atoll.hosts.sandbox.images import Play, play_of
from atoll.hosts.sandbox.kube import POD, Obj
from atoll.hosts.sandbox.objects import now

log = logging.getLogger(__name__)
_POD_IP = "127.0.0.1"
_HEALTHY_SECONDS = 30.0  # what ran for so long starts again without a pause


class Program(Protocol):
    """What runs in a pod's place."""

    async def run(self, pod: RunningPod) -> int:
        """Run once, tell `pod` when ready, and return the exit code; clean up when cancelled."""


@dataclass
class RunningPod:
    """A pod the agent runs, as its program sees it."""

    world: World
    endpoints: Endpoints
    manifest: Obj
    site: Site
    namespace: str
    name: str
    restarts: int = 0
    last: Obj = field(default_factory=dict)

    @property
    def uid(self) -> str:
        """UID of the host pod."""
        return str(self.manifest["metadata"]["uid"])

    @property
    def host_namespace(self) -> str:
        """Namespace on the host."""
        return str(self.manifest["metadata"]["namespace"])

    @property
    def host_name(self) -> str:
        """Name on the host."""
        return str(self.manifest["metadata"]["name"])

    @property
    def labels(self) -> dict[str, str]:
        """The pod's labels."""
        return dict(self.manifest["metadata"].get("labels") or {})

    @property
    def log(self) -> Path:
        """The file its programs write to."""
        return layout.pod_log(self.world.root, self.host_namespace, self.host_name)

    def turn_log(self) -> None:
        """Begin a new log before a program is started; the one before it is kept, as `previous`."""
        if self.log.exists():
            self.log.replace(layout.earlier(self.log))

    async def waiting(self, reason: str, message: str) -> None:
        """Report that the containers cannot start yet."""
        state = {"waiting": {"reason": reason, "message": message[:1000]}}
        await self._report("Pending", state, ready=False, message=message)

    async def started(self) -> None:
        """Report that the program runs but is not ready."""
        await self._report("Running", {"running": {"startedAt": now()}}, ready=False)

    async def ready(self, ports: Mapping[int, int]) -> None:
        """Report readiness and the local ports behind the container ports."""
        await self._report("Running", {"running": {"startedAt": now()}}, ready=True)
        backend = Backend(self.namespace, self.labels, dict(ports), self._port_names())
        await self.endpoints.add(self.site, self.uid, backend)

    async def exited(self, code: int, *, again: bool) -> None:
        """Report that the program ended; `again` says that it will be started again."""
        self.endpoints.remove(self.site, self.uid)
        reason = "Completed" if code == 0 else "Error"
        over: Obj = {"terminated": {"exitCode": code, "reason": reason, "finishedAt": now()}}
        if not again:
            await self._report("Succeeded" if code == 0 else "Failed", over, ready=False)
            return
        self.restarts += 1
        self.last = over
        waiting = {"reason": "CrashLoopBackOff", "message": f"exit code {code}; starting again"}
        await self._report("Running", {"waiting": waiting}, ready=False)

    def _port_names(self) -> dict[str, int]:
        return {
            port["name"]: int(port["containerPort"])
            for container in self.manifest["spec"]["containers"]
            for port in container.get("ports") or []
            if port.get("name")
        }

    def _container(self, one: Obj, state: Obj, *, ready: bool, started: bool) -> Obj:
        return {
            "name": one["name"],
            "image": one["image"],
            "imageID": "sandbox",
            "containerID": "sandbox://" + one["name"],
            "ready": ready,
            "started": started,
            "restartCount": self.restarts,
            "state": state,
            "lastState": self.last,
        }

    async def _report(self, phase: str, state: Obj, *, ready: bool, message: str = "") -> None:
        spec = self.manifest["spec"]
        started = phase == "Running" and "running" in state
        value = "True" if ready else "False"
        conditions = [
            {"type": kind, "status": status, "lastTransitionTime": now(), "message": message}
            for kind, status in (
                ("PodReadyToStartContainers", "True"),
                ("Initialized", "True" if phase != "Pending" else "False"),
                ("ContainersReady", value),
                ("Ready", value),
            )
        ]
        status = {
            "phase": phase,
            "hostIP": "127.0.0.1",
            "podIP": _POD_IP,
            "podIPs": [{"ip": _POD_IP}],
            "startTime": self.manifest["metadata"]["creationTimestamp"],
            "conditions": conditions,
            "containerStatuses": [
                self._container(one, state, ready=ready, started=started)
                for one in spec["containers"]
            ],
            "initContainerStatuses": [_initial(one) for one in spec.get("initContainers") or []],
        }
        await self.world.host.kube.patch(
            POD, self.host_namespace, self.host_name, {"status": status},
            sub="status", form="strategic",
        )  # fmt: skip


def _initial(one: Obj) -> Obj:
    over = {"exitCode": 0, "reason": "Completed", "startedAt": now(), "finishedAt": now()}
    return {
        "name": one["name"],
        "image": one["image"],
        "imageID": "sandbox",
        "ready": True,
        "restartCount": 0,
        "state": {"terminated": over},
    }


class Kubelet:
    """Starts and ends the programs of bound pods."""

    def __init__(
        self, world: World, endpoints: Endpoints, programs: Mapping[Play, Program]
    ) -> None:
        self._world, self._endpoints, self._programs = world, endpoints, programs
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._keys: dict[str, Key] = {}
        self.queue = Reconciler("kubelet", self._look, parallel=32)
        world.pods.subscribe(self._changed)

    def _changed(self, pod: Obj) -> None:
        if play_of([one["image"] for one in pod["spec"]["containers"]]) is not None:
            self.queue.add(key_of(pod))

    async def _look(self, key: Key) -> float | None:
        pod = self._world.pods.get(*key)
        uid = pod["metadata"]["uid"] if pod else ""
        for other in [one for one, where in self._keys.items() if where == key and one != uid]:
            await self._end(other)
        if pod is None or not pod["spec"].get("nodeName"):
            return None
        if pod["metadata"].get("deletionTimestamp"):
            await self._end(uid)
            await self._world.host.kube.delete(POD, *key, grace=0, uid=uid)
            return None
        if uid in self._tasks or pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            return None
        origin = self._world.origin(pod)
        if origin is None:
            return 1.0
        running = RunningPod(self._world, self._endpoints, pod, *origin)
        self._keys[uid] = key
        self._tasks[uid] = asyncio.create_task(self._live(running), name=f"pod {key}")
        return None

    async def _end(self, uid: str) -> None:
        task = self._tasks.pop(uid, None)
        self._keys.pop(uid, None)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _live(self, pod: RunningPod) -> None:
        play = play_of([one["image"] for one in pod.manifest["spec"]["containers"]])
        if play is None:
            return
        program = self._programs[play]
        statuses = pod.manifest.get("status", {}).get("containerStatuses") or [{}]
        pod.restarts = int(statuses[0].get("restartCount", 0))
        pause = 0.0
        try:
            while True:
                begun = time.monotonic()
                code = await self._once(program, pod)
                if time.monotonic() - begun > _HEALTHY_SECONDS:
                    pause = 0.0
                policy = pod.manifest["spec"].get("restartPolicy", "Always")
                again = policy == "Always" or (policy == "OnFailure" and code != 0)
                await pod.exited(code, again=again)
                if not again:
                    return
                await asyncio.sleep(pause)
                pause = min(10.0, pause * 2 + 1)
        finally:
            self._endpoints.remove(pod.site, pod.uid)

    async def _once(self, program: Program, pod: RunningPod) -> int:
        try:
            return await program.run(pod)
        except Exception as problem:
            log.exception("pod %s/%s", pod.host_namespace, pod.host_name)
            await pod.waiting("CreateContainerError", f"{type(problem).__name__}: {problem}")
            await asyncio.sleep(2)
            return 1
