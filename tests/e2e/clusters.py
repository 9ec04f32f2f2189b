"""Virtual clusters of a test: made through the API, removed, and searched for what they leave."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from typing import Any, Protocol

from atoll.client import Atoll
from atoll.contract.teams import TeamCreate
from atoll.contract.virtual_clusters import VirtualClusterCreate, VirtualClusterRead
from atoll.errors import ConflictError, NotFoundError, UnavailableError
from atoll.resources.teams import QuotaLine, TeamSpec
from atoll.resources.virtual_clusters import Mode, RayClusterSpec, VirtualClusterSpec
from e2e.figures import Figures
from e2e.stage import OWNER_LABEL, Stage
from waiting import until

READY_SECONDS = 400.0
GONE_SECONDS = 240.0
SWEPT_SECONDS = 100.0
"""The worker sweeps each minute."""
QUOTA = {"cpu": "2", "memory": "6Gi"}


def small_ray(name: str = "rays", workers: int = 1, head_cpu: str = "500m") -> RayClusterSpec:
    """A Ray cluster that fits beside others on two CPUs."""
    return RayClusterSpec(
        name=name, workers=workers, head_cpu=head_cpu, head_memory="1Gi",
        worker_cpu="200m", worker_memory="1Gi",
    )  # fmt: skip


class Platform(Protocol):
    """A running platform: on this machine, or in the cluster."""

    @property
    def stage(self) -> Stage: ...

    def client(self) -> AbstractContextManager[Atoll]: ...


class Clusters:
    """The virtual clusters of one test."""

    def __init__(self, platform: Platform, figures: Figures) -> None:
        self._platform, self._figures = platform, figures
        self._names: list[str] = []
        self._teams: list[str] = []

    @property
    def stage(self) -> Stage:
        return self._platform.stage

    def ask(
        self,
        name: str,
        *,
        profile: str = "default",
        rays: Sequence[RayClusterSpec] = (),
        mode: Mode = "dedicated",
        amounts: Mapping[str, str] = QUOTA,
    ) -> VirtualClusterRead:
        """Ask for one node (or, shared, none) for a team of the same name; returns at once."""
        self._names.append(name)
        self._teams.append(name)
        nodes = {self.stage.free_template(): 1} if mode == "dedicated" else {}
        quota = {key: QuotaLine(limit=amount) for key, amount in amounts.items()}
        spec = VirtualClusterSpec(
            team=name, profile=profile, mode=mode, replica_sets=nodes,
            quota=dict(amounts), ray_clusters=list(rays),
        )  # fmt: skip
        with self._platform.client() as client:
            with suppress(ConflictError):
                client.teams.create(TeamCreate(name=name, spec=TeamSpec(quota=quota)))
            return client.virtual_clusters.create(VirtualClusterCreate(name=name, spec=spec))

    def ready(self, name: str, seconds: float = READY_SECONDS) -> VirtualClusterRead:
        """Wait for Ready; AssertionError with the state of every step when it is not in time."""
        return self.until(name, lambda vc: vc.status.phase == "Ready", "Ready", seconds)

    def until(
        self, name: str, so: Callable[[VirtualClusterRead], bool], what: str, seconds: float
    ) -> VirtualClusterRead:
        deadline = time.monotonic() + seconds
        with self._platform.client() as client:
            while True:
                found = client.virtual_clusters.get(name)
                if so(found):
                    return found
                assert time.monotonic() < deadline, f"{name} is not {what}:\n{timeline(found)}"
                time.sleep(0.3)

    def remove(self, name: str) -> float:
        """Delete, wait until it is gone, and assert that nothing of it is left; the seconds."""
        began = time.monotonic()
        with self._platform.client() as client:
            with suppress(NotFoundError):
                client.virtual_clusters.delete(name)
            while time.monotonic() - began < GONE_SECONDS:
                try:
                    found = client.virtual_clusters.get(name)
                except NotFoundError:
                    break
                time.sleep(0.5)
            else:
                raise AssertionError(f"{name} does not go:\n{timeline(found)}")
            if name in self._names:
                self._names.remove(name)
            seconds = time.monotonic() - began
        left = [
            found
            for found in remains(self.stage, name)
            if not found.startswith(("persistentvolumes/", "leases/"))
        ]
        assert left == [], f"{name} left: {left}"
        # Volumes are the storage provisioner's to remove, which it does after their claims are gone.
        until(lambda: not self._volumes(name), f"the volumes of {name} are gone", 60)
        # A look that began before the deletion may make a Lease anew, which the worker sweeps.
        until(lambda: not remains(self.stage, name), f"the Lease of {name} is gone", SWEPT_SECONDS)
        return seconds

    def _volumes(self, name: str) -> list[str]:
        return [v for v in remains(self.stage, name) if v.startswith("persistentvolumes/")]

    def remove_all(self) -> None:
        """All that this test has made."""
        for name in list(self._names):
            self.remove(name)
        with self._platform.client() as client:
            for team in self._teams:
                try:
                    client.teams.delete(team)
                except (NotFoundError, UnavailableError):
                    continue


def timeline(found: VirtualClusterRead) -> str:
    """Every step with its state, for messages."""
    return "\n".join(
        f"  {s.state:8} {s.name:14} {s.reason}: {s.message}" for s in found.status.steps
    )


def remains(stage: Stage, name: str) -> list[str]:
    """Everything on the host that names a virtual cluster: of any kind that could hold on to it.

    The keys of its own Redis are in a claim of its namespace, so they are gone with claim and volume.
    """
    host, namespace = stage.host, f"vc-{name}"
    left: list[str] = []

    def suspect(path: str, mine: Callable[[dict[str, Any]], bool]) -> None:
        kind = path.rsplit("/", 1)[-1]
        found = [item["metadata"]["name"] for item in host.items(path) if mine(item)]
        left.extend(f"{kind}/{of}" for of in found)

    def named(item: dict[str, Any]) -> bool:
        meta = item["metadata"]
        words = [meta["name"], meta.get("namespace", ""), *(meta.get("labels") or {}).values()]
        return any(w in (name, namespace) or w.endswith(f"-{namespace}") for w in words)

    def mentions(item: dict[str, Any]) -> bool:
        meta = item["metadata"]
        return namespace in meta["name"] or named(item)

    suspect("/api/v1/namespaces", named)
    for kind in ("persistentvolumeclaims", "secrets", "configmaps", "services", "pods"):
        suspect(f"/api/v1/{kind}", named)
    claims = lambda pv: (pv["spec"].get("claimRef") or {}).get("namespace") == namespace  # noqa: E731
    suspect("/api/v1/persistentvolumes", claims)
    owned = lambda node: node["metadata"]["labels"].get(OWNER_LABEL) == name  # noqa: E731
    suspect("/api/v1/nodes", owned)
    for kind in ("clusterroles", "clusterrolebindings"):
        suspect(f"/apis/rbac.authorization.k8s.io/v1/{kind}", mentions)
    lease = lambda item: item["metadata"]["name"].endswith(f"virtual-cluster-{name}")  # noqa: E731
    suspect("/apis/coordination.k8s.io/v1/leases", lease)
    doors = (f"access-{name}", f"mirror-{name}")
    suspect(
        "/api/v1/namespaces/atoll-access-mirror/secrets", lambda s: s["metadata"]["name"] in doors
    )
    access = lambda item: item["metadata"]["name"] in doors  # noqa: E731
    for kind in ("queues", "podgroups"):
        suspect(f"/apis/scheduling.volcano.sh/v1beta1/{kind}", mentions)
    suspect("/api/v1/namespaces/atoll-access/secrets", access)
    suspect("/apis/atoll.dev/v1alpha1/virtualclusters", named)
    held = lambda team: any(  # noqa: E731
        key.split("~")[0].split("/")[0] == name
        for key in (team.get("status") or {}).get("reservations", {})
    )
    suspect("/apis/atoll.dev/v1alpha1/teams", held)
    return left
