"""The event stream: changes of virtual clusters as they happen, across broken connections."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from atoll.client.objects import parse
from atoll.client.transport import Transport
from atoll.contract.virtual_clusters import VirtualClusterEvent
from atoll.errors import ConflictError, UnavailableError

_SILENCE = 20.0
"""Seconds without a byte after which a connection counts as broken; the API sends a sign of life
more often than that."""
_LONGEST_PAUSE = 5.0


@dataclass
class Frame:
    """One server-sent event while it is read, line by line."""

    id: str = ""
    data: list[str] = field(default_factory=list)

    def take(self, line: str) -> str | None:
        """Read a line; the whole data when the line ends an event, else None."""
        if not line:
            whole, self.data = "\n".join(self.data), []
            return whole or None
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self.data.append(value)
        elif name == "id":
            self.id = value
        return None


class Events:
    """Follows the changes of all virtual clusters the caller may see, or of one."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def follow(
        self, virtual_cluster: str | None = None, *, after: str | None = None,
        deadline: float | None = None,
    ) -> Iterator[VirtualClusterEvent | None]:  # fmt: skip
        """Changes for ever, or until `deadline` (of `time.monotonic`).

        A broken connection is opened again after the last event that was seen. None is given
        whenever nothing came for a moment, so that a caller can look at its clock.
        """
        path = f"virtual-clusters/{virtual_cluster}/events" if virtual_cluster else "events"
        pause = 0.2
        while not _over(deadline):
            try:
                for event in self._read(path, after, deadline):
                    pause = 0.2
                    if event is not None:
                        after = event.id
                    yield event
                    if _over(deadline):
                        return
            except ConflictError:
                after = None  # too long ago: the present state comes first instead
            except UnavailableError as error:
                if error.code == "unreachable" and after is None and pause > 2:
                    raise
            yield None
            time.sleep(_left(deadline, pause))
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _read(
        self, path: str, after: str | None, deadline: float | None
    ) -> Iterator[VirtualClusterEvent | None]:
        headers = {"Accept": "text/event-stream"}
        if after:
            headers["Last-Event-ID"] = after
        frame = Frame()
        silence = _left(deadline, _SILENCE)
        with self._transport.stream(path, headers=headers, silence=silence) as answer:
            for line in answer.iter_lines():
                data = frame.take(line)
                if data is not None:
                    found = {**json.loads(data)}
                    found.setdefault("id", frame.id)
                    yield parse(VirtualClusterEvent, found)
                elif line.startswith(":"):
                    yield None


def _over(deadline: float | None) -> bool:
    return deadline is not None and time.monotonic() >= deadline


def _left(deadline: float | None, most: float) -> float:
    if deadline is None:
        return most
    return min(most, max(deadline - time.monotonic(), 0.01))
