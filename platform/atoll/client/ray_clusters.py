"""Ray clusters inside one virtual cluster."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from atoll.client.objects import parse
from atoll.client.packages import Package, pack, upload
from atoll.client.transport import Transport
from atoll.contract.ray import RayClusterCreate, RayClusterRead


class RayClusters:
    """Ray clusters of the virtual cluster named in each call."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def all(self, virtual_cluster: str) -> list[RayClusterRead]:
        """Every Ray cluster."""
        page = self._transport.get(_path(virtual_cluster))
        return [parse(RayClusterRead, item) for item in page["items"]]

    def get(self, virtual_cluster: str, name: str) -> RayClusterRead:
        """One Ray cluster. Raises NotFoundError."""
        return parse(RayClusterRead, self._transport.get(_path(virtual_cluster, name)))

    def create(self, virtual_cluster: str, new: RayClusterCreate) -> RayClusterRead:
        """A Ray cluster by hand, beside those of the virtual cluster's spec."""
        answer = self._transport.send("POST", _path(virtual_cluster), body=new.dump())
        return parse(RayClusterRead, answer.json())

    def delete(self, virtual_cluster: str, name: str) -> None:
        """Remove a Ray cluster that was made by hand."""
        self._transport.send("DELETE", _path(virtual_cluster, name), headers={"If-Match": "*"})

    def logs(
        self,
        virtual_cluster: str,
        name: str,
        *,
        pod: str | None = None,
        follow: bool = False,
        tail: int | None = None,
    ) -> Iterator[str]:
        """Pieces of a pod's log as they come; the head's when no pod is named. `tail`: last lines only."""
        params = {"pod": pod, "follow": "true" if follow else None, "tail": tail}
        path = f"{_path(virtual_cluster, name)}/logs"
        with self._transport.stream(path, params=params) as answer:
            yield from answer.iter_text()

    def send_folder(
        self, virtual_cluster: str, name: str, folder: Path, exclude: Sequence[str] = ()
    ) -> tuple[Package, bool]:
        """Give a working directory to a Ray cluster: the package, and whether it was sent now."""
        package = pack(folder, exclude)
        return package, upload(self._transport, f"{_path(virtual_cluster, name)}/proxy", package)


def _path(virtual_cluster: str, name: str | None = None) -> str:
    base = f"virtual-clusters/{virtual_cluster}/ray-clusters"
    return f"{base}/{name}" if name else base
