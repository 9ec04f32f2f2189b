"""A real redis-server for pods of the image library/redis."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path

from atoll.hosts.detached import free_port, port_is_free
from atoll.hosts.sandbox.agent import redisentry
from atoll.hosts.sandbox.agent.containers import (
    MissingReferenceError,
    command,
    environment,
    localized,
    mounts,
    pod_folder,
    remove_pod_folder,
)
from atoll.hosts.sandbox.agent.kubelet import RunningPod
from atoll.hosts.sandbox.agent.world import ended
from atoll.hosts.sandbox.images import Play, play_of
from atoll.hosts.sandbox.kube import Obj
from atoll.hosts.sandbox.kubeconfig import write_private
from atoll.hosts.toolchain import Toolchain

_PORT, _SENTINEL_PORT = 6379, 26379
_SENTINEL = "redis-sentinel"
_SHELLS = {"sh", "bash", "/bin/sh", "/bin/bash"}


class Redis:
    """Program of the image library/redis.

    The container's own command is run (a shell script included) with its mount paths replaced by
    local folders and `redis-server` by the real one on a loopback port of the sandbox's choice.
    """

    async def run(self, pod: RunningPod) -> int:
        """Serve until the process ends; the folder of a claim stays, others go with the pod.

        Of three Redis pods the first is real and alone; the others, and their Sentinels, are played.
        """
        if _played(pod):
            return await self._play(pod)
        container = next(
            one
            for one in pod.manifest["spec"]["containers"]
            if play_of([one["image"]]) is Play.REDIS
        )
        try:
            env = await environment(pod, container)
            folders = await mounts(pod, container)
        except MissingReferenceError as problem:
            await pod.waiting("CreateContainerConfigError", str(problem))
            await asyncio.sleep(1)
            return await self.run(pod)
        unit = f"pod-{pod.uid}"
        port = _port(pod)
        argv = await asyncio.to_thread(_command, pod, container, env, folders, port)
        env["REDIS_ALONE"] = "1"
        env["PATH"] = f"{pod_folder(pod) / 'bin'}:/usr/local/bin:/usr/bin:/bin"
        if pod.world.processes.find(unit) is None:
            pod.turn_log()
        try:
            record = pod.world.processes.start(unit, argv, pod.log, env)
            await pod.started()
            over = asyncio.create_task(ended(record))
            while not over.done() and not await _answers(port):  # noqa: ASYNC110 (a poll)
                await asyncio.sleep(0.1)
            if not over.done():
                await pod.ready({_PORT: port})
            await over
            return 1
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.to_thread(pod.world.processes.stop, unit))
            remove_pod_folder(pod)
            raise

    async def _play(self, pod: RunningPod) -> int:
        """Be ready while the first Redis is; where a Sentinel would answer, that Redis does."""
        await pod.started()
        while (port := _first(pod)) is None or not await _answers(port):  # noqa: ASYNC110 (a poll)
            await asyncio.sleep(0.2)
        await pod.ready({_SENTINEL_PORT: port} if pod.labels["app"] == _SENTINEL else {})
        await asyncio.Event().wait()
        return 0


def _played(pod: RunningPod) -> bool:
    """Whether a pod of helm/tenant's Redis has no process of its own here."""
    app, number = pod.labels.get("app"), pod.host_name.rpartition("-")[2]
    return app == _SENTINEL or (app == "redis" and number in ("1", "2"))


def _first(pod: RunningPod) -> int | None:
    """The port of the namespace's real Redis; None before it has one."""
    first = pod.world.pods.get(pod.host_namespace, "redis-0")
    if first is None:
        return None
    file = pod.world.root / "volumes" / f"pod-{first['metadata']['uid']}" / "port"
    return int(file.read_text()) if file.exists() else None


def _port(pod: RunningPod) -> int:
    """The pod's port, the same after a restart when it is still free."""
    file = pod_folder(pod) / "port"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    running = pod.world.processes.find(f"pod-{pod.uid}") is not None
    if not file.exists() or not (running or port_is_free(int(file.read_text()))):
        write_private(file, str(free_port()))
    return int(file.read_text())


def _command(
    pod: RunningPod, container: Obj, env: dict[str, str], folders: dict[str, Path], port: int
) -> list[str]:
    home = pod_folder(pod)
    data = folders.get("/data", home / "data")
    data.mkdir(parents=True, exist_ok=True)
    spec = {
        "program": str(Toolchain().path("redis-server")),
        "config": str(home / "redis.conf"),
        "port": port,
        "data": str(data),
        "folders": {mount: str(folder) for mount, folder in folders.items()},
    }
    write_private(home / "spec.json", json.dumps(spec))
    entry = [sys.executable, "-P", redisentry.__file__, str(home / "spec.json")]
    words = [localized(word, folders) for word in command(container, env)]
    if words and words[0] in _SHELLS:
        if len(words) == 2:  # a script from a ConfigMap, which names the pod's paths too
            words = [words[0], "-c", localized(Path(words[1]).read_text(), folders)]
        _wrapper(home / "bin" / "redis-server", entry)
        return [shutil.which("sh") or "/bin/sh", *words[1:]]
    if words and Path(words[0]).name in ("redis-server", "docker-entrypoint.sh"):
        words = [word for word in words if Path(word).name not in
                 ("redis-server", "docker-entrypoint.sh")]  # fmt: skip
    # Written here and now, so that options with a password are in no argument list at all.
    file, lines = redisentry.options(words)
    asked = home / "asked.conf"
    text = Path(file).read_text() if file else ""
    write_private(asked, "\n".join([text, *lines]))
    return [*entry, str(asked)]


def _wrapper(path: Path, entry: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in entry) + ' "$@"\n')
    path.chmod(0o700)


async def _answers(port: int) -> bool:
    """Whether a Redis on this port has loaded its data (asking for a password counts)."""
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"PING\r\n")
        async with asyncio.timeout(2):
            answer = await reader.readline()
        writer.close()
    except (OSError, TimeoutError):
        return False
    return answer.startswith((b"+PONG", b"-NOAUTH"))
