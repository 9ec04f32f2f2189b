"""What the programs of pods have printed: whose file it is, and the part of it that was asked for."""

from __future__ import annotations

import asyncio
import mmap
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from atoll.hosts.sandbox import layout
from atoll.hosts.sandbox.images import Play, play_of
from atoll.hosts.sandbox.kube import Obj

_PRINTING = (Play.RAY, Play.REDIS)
_PIECE = 64 * 1024
_PAUSE_SECONDS = 0.2
_TIMES = ("timestamps", "sinceSeconds", "sinceTime")


class NoLogError(Exception):
    """There is no such log; the text says why, and what to do if there is something."""


@dataclass(frozen=True)
class LogOptions:
    """What of a log is wanted: the last `tail` lines, at most `limit` bytes."""

    follow: bool = False
    previous: bool = False
    tail: int | None = None
    limit: int | None = None

    @classmethod
    def read(cls, query: Mapping[str, str]) -> LogOptions:
        """The options of the kubelet's API; NoLogError for what the sandbox cannot tell."""
        if any(query.get(name, "false") != "false" for name in _TIMES):
            raise NoLogError(
                "the sandbox does not know when a line was printed: leave out --timestamps, "
                "--since and --since-time"
            )
        try:
            tail, limit = (
                int(query[name]) if name in query else None for name in ("tailLines", "limitBytes")
            )
        except ValueError:
            raise NoLogError("tailLines and limitBytes must be whole numbers") from None
        return cls(query.get("follow") == "true", query.get("previous") == "true", tail, limit)


def status_of(pod: Obj, container: str) -> Obj:
    """The status of a container, empty before there is one."""
    told = (pod.get("status") or {}).get("containerStatuses") or []
    return next((one for one in told if one["name"] == container), {})


def runs(status: Obj) -> bool:
    """Whether a container with this status runs now."""
    return "running" in (status.get("state") or {})


def _program(pod: Obj) -> str:
    """The one container that is a program, as the agent chooses it; empty when all are played."""
    containers = pod["spec"]["containers"]
    play = play_of([one["image"] for one in containers])
    programs = (str(one["name"]) for one in containers if play_of([one["image"]]) is play)
    return next(programs, "") if play in _PRINTING else ""


def log_file(root: Path, pod: Obj, container: str, *, previous: bool) -> Path:
    """The file with the output of a host pod's container; NoLogError when it has none."""
    meta = pod["metadata"]
    path = layout.pod_log(root, meta["namespace"], meta["name"])
    if container != _program(pod):
        raise NoLogError(
            f'container "{container}" has printed nothing: in the sandbox only those of Ray and '
            "Redis are programs, the others are played"
        )
    status = status_of(pod, container)
    state, restarts = status.get("state") or {}, int(status.get("restartCount", 0))
    if previous:
        # Between an end and the next start the run before is still in the newest file.
        path = path if "waiting" in state else layout.earlier(path)
        if not restarts or not path.exists():
            raise NoLogError(f'previous terminated container "{container}" not found')
        return path
    # Without this the log of an earlier pod of the same name would be taken for this one's.
    if not (restarts or runs(status) or "terminated" in state):
        reason = (state.get("waiting") or {}).get("reason", "ContainerCreating")
        raise NoLogError(f'container "{container}" is waiting to start: {reason}')
    if not path.exists():
        raise NoLogError(f'container "{container}" is played in the sandbox and prints nothing')
    return path


async def pieces(
    path: Path, options: LogOptions, over: Callable[[], bool]
) -> AsyncGenerator[bytes]:
    """The wanted part of a file; one that is followed goes on until `over`."""
    left = options.limit
    # A long tail of a large file takes a while, and the agent has more to do.
    with await asyncio.to_thread(_opened, path, options.tail) as file:
        while left is None or left > 0:
            # Asked before the file is read: what came before the end is given in any case.
            last = not options.follow or over()
            piece = file.read(_PIECE if left is None else min(_PIECE, left))
            if piece:
                left = None if left is None else left - len(piece)
                yield piece
            elif last:
                return
            else:
                await asyncio.sleep(_PAUSE_SECONDS)


def _opened(path: Path, tail: int | None) -> BinaryIO:
    file = path.open("rb")
    if tail is not None:
        file.seek(_last_lines(file, tail))
    return file


def _last_lines(file: BinaryIO, count: int) -> int:
    """Where the last `count` lines begin; one without an end counts as a line."""
    size = file.seek(0, 2)
    if size == 0 or count <= 0:
        return size
    with mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ) as text:
        end = size - 1 if text[size - 1] == ord("\n") else size
        for _ in range(count):
            end = text.rfind(b"\n", 0, end)
            if end < 0:
                return 0
    return end + 1
