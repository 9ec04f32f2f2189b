"""Ray jobs inside one virtual cluster."""

import time
from collections.abc import Iterator

from atoll.client.objects import parse
from atoll.client.transport import Transport
from atoll.contract.ray import RayJobCreate, RayJobRead

FINAL = frozenset({"SUCCEEDED", "FAILED", "STOPPED"})


class RayJobs:
    """Ray jobs of the virtual cluster named in each call."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def all(self, virtual_cluster: str) -> list[RayJobRead]:
        """Every job that Ray remembers, of all Ray clusters."""
        page = self._transport.get(_path(virtual_cluster))
        return [parse(RayJobRead, item) for item in page["items"]]

    def get(self, virtual_cluster: str, name: str) -> RayJobRead:
        """One job. Raises NotFoundError."""
        return parse(RayJobRead, self._transport.get(_path(virtual_cluster, name)))

    def submit(self, virtual_cluster: str, new: RayJobCreate) -> RayJobRead:
        """Start a job on a running Ray cluster."""
        answer = self._transport.send("POST", _path(virtual_cluster), body=new.dump())
        return parse(RayJobRead, answer.json())

    def delete(self, virtual_cluster: str, name: str) -> None:
        """Stop a job and forget it."""
        self._transport.send("DELETE", _path(virtual_cluster, name), headers={"If-Match": "*"})

    def logs(self, virtual_cluster: str, name: str, *, follow: bool = False) -> Iterator[str]:
        """Pieces of what the job printed; with `follow` until the job ends."""
        params = {"follow": "true" if follow else None}
        path = f"{_path(virtual_cluster, name)}/logs"
        with self._transport.stream(path, params=params) as answer:
            yield from answer.iter_text()

    def wait(self, virtual_cluster: str, name: str, *, deadline: float) -> RayJobRead:
        """The job when it is over, or as it is at `deadline` (of `time.monotonic`)."""
        while True:
            job = self.get(virtual_cluster, name)
            if job.status in FINAL or time.monotonic() >= deadline:
                return job
            time.sleep(0.5)


def _path(virtual_cluster: str, name: str | None = None) -> str:
    base = f"virtual-clusters/{virtual_cluster}/ray-jobs"
    return f"{base}/{name}" if name else base
