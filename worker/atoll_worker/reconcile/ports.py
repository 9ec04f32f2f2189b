"""What the reconciler needs of the outside world beyond the Kubernetes API."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from atoll.cluster.client import Cluster
from atoll.resources.profiles import Chart


@dataclass(frozen=True)
class Release:
    """The newest revision of a helm release, as its storage Secret tells."""

    name: str
    revision: int
    status: str
    chart_version: str
    values_hash: str
    fence: int = 0

    @property
    def pending(self) -> bool:
        """A helm process is at it, or died at it."""
        return self.status.startswith("pending-") or self.status == "uninstalling"


class Releases(Protocol):
    """Helm, as the steps see it."""

    async def find(self, cluster: Cluster, release: str, namespace: str) -> Release | None:
        """The newest revision, or None. Reads the storage Secret, starts no process."""

    async def install(
        self,
        cluster: Cluster,
        kubeconfig: Path | None,
        release: str,
        namespace: str,
        chart: Chart | Path,
        values: Mapping[str, Any],
    ) -> None:
        """Install or upgrade and return as soon as the objects are sent; never waits for readiness."""

    async def uninstall(
        self, cluster: Cluster, kubeconfig: Path | None, release: str, namespace: str
    ) -> None:
        """Remove; nothing to remove counts as done."""

    def values_hash(self, values: Mapping[str, Any]) -> str:
        """What `Release.values_hash` is for these values."""
