"""What every step that owns a helm release shares."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import POD
from atoll.domain.plurals import count
from atoll.domain.pull_failures import pull_failure
from atoll.resources.profiles import Chart
from atoll_worker.reconcile.outcome import Change, Install, Outcome, Wait
from atoll_worker.reconcile.ports import Release
from atoll_worker.reconcile.scope import Scope


@dataclass(frozen=True)
class Seen:
    """The release and the objects by which readiness is judged (None when absent)."""

    release: Release | None
    workloads: tuple[Object | None, ...] = ()
    pods: tuple[Object, ...] = ()
    """Those of workloads that are not ready yet."""


@cache
def folder_version(chart: Path) -> str:
    """The version of a chart that is a folder (helm/tenant); it does not change while we run."""
    return str(yaml.safe_load((chart / "Chart.yaml").read_text())["version"])


def needs_install(
    scope: Scope, seen: Release | None, chart_version: str, values: dict[str, Any]
) -> bool:
    """Whether the release is absent, unfinished, of another chart version, or has other values."""
    if seen is None or seen.status != "deployed":
        return True
    other_chart = seen.chart_version != chart_version
    return other_chart or seen.values_hash != scope.releases.values_hash(values)


def install_when_needed(
    scope: Scope,
    seen: Release | None,
    chart: Chart | Path,
    install: Install,
) -> list[Change]:
    """The plan of a release step."""
    version = chart.version if isinstance(chart, Chart) else folder_version(chart)
    return [install] if needs_install(scope, seen, version, install.values) else []


async def starting_pods(cluster: Cluster, *workloads: Object | None) -> tuple[Object, ...]:
    """The pods of workloads that are there and not ready: what they wait for is written in them."""
    found: list[Object] = []
    for workload in workloads:
        if workload is not None and not_ready(workload, ""):
            selected = workload["spec"].get("selector", {}).get("matchLabels")
            namespace = workload["metadata"]["namespace"]
            found += await cluster.items(POD, namespace, selected) if selected else []
    return tuple(found)


def not_ready(workload: Object | None, what: str, pods: Iterable[Object] = ()) -> Outcome | None:
    """None when a StatefulSet or Deployment has all its replicas ready at its newest generation.

    Of its `pods` those that wait for an image that cannot be pulled are told.
    """
    if workload is None:
        return Wait("Installing", f"{what} is not there yet")
    wanted = workload["spec"].get("replicas", 1)
    status = workload.get("status", {})
    ready = status.get("readyReplicas", 0)
    current = status.get("observedGeneration", 0) >= workload["metadata"].get("generation", 0)
    updated = status.get("updatedReplicas", 0)
    if current and ready >= wanted and updated >= wanted:
        return None
    if failed := pull_failure(pods):
        return Wait("ImageNotPulled", f"{what}: {failed}")
    return Wait("Starting", f"{what}: {ready} of {count(wanted, 'pod')} ready")
