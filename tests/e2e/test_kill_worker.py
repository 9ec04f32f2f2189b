"""kill -9 of the worker during every step of one create: another goes on within seconds, to Ready."""

import time
from collections.abc import Callable

from atoll.domain.gcs_store import credentials_name
from atoll.domain.names import RAY_NAMESPACE, SYSTEM_NAMESPACE
from atoll.hosts.detached import start_time
from e2e.clusters import READY_SECONDS, Clusters, small_ray, timeline
from e2e.figures import Figures
from e2e.kube import Kube, Object
from e2e.local import Local, kill_tree
from e2e.stage import OWNER_LABEL, Stage
from waiting import until

NAME = "ants"
GOAL_SECONDS = 10.0
"""Told with the figures; a machine that is busy elsewhere takes longer."""
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/atoll-system/leases/virtual-cluster-{NAME}"
LEFT_OUT = {
    "quota": "compares the layers and writes nothing",
    "redis-password": "writes nothing in a create: Redis starts with the password of its Secret",
}
"""Steps that no kill can hit in the middle, and why."""


class Traces:
    """What each step leaves first, so that a kill right then hits it in the middle."""

    def __init__(self, stage: Stage) -> None:
        self._stage, self._host = stage, stage.host
        self._inner: Kube | None = None
        inner = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}"
        policy = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/atoll-ray"
        release = "secrets/sh.helm.release.v1.{}.v1"
        self.of: dict[str, Callable[[], object]] = {
            "admission": lambda: True,  # before the first write: as soon as somebody has the lease
            "namespace": lambda: self._host.get(f"/api/v1/namespaces/vc-{NAME}"),
            "guard-rails": lambda: self._mine(release.format("tenant")),
            "nodes": lambda: self._host.items(
                f"/api/v1/nodes?labelSelector={OWNER_LABEL}%3D{NAME}"
            ),
            "redis": lambda: self._host.get(
                f"/apis/apps/v1/namespaces/vc-{NAME}/statefulsets/redis"
            ),
            "control-plane": lambda: self._mine(release.format(NAME)),
            "access": lambda: self._inside(inner),
            "operator": lambda: self._inside(f"{inner}/{release.format('kuberay-operator')}"),
            "scheduler": lambda: self._inside(f"{inner}/{release.format('volcano')}"),
            "policies": lambda: self._inside(policy),
            "queue": lambda: self._inside(
                f"/apis/scheduling.volcano.sh/v1beta1/queues/team-{NAME}"
            ),
            "ray-clusters": lambda: self._inside(
                f"/apis/ray.io/v1/namespaces/{RAY_NAMESPACE}/rayclusters/rays"
            ),
            "gcs-users": lambda: self._inside(
                f"/api/v1/namespaces/{RAY_NAMESPACE}/secrets/"
                f"{credentials_name('RayCluster', 'rays')}"
            ),
            "probe": self._ray_ready,
        }

    def _mine(self, path: str) -> Object | None:
        return self._host.get(f"/api/v1/namespaces/vc-{NAME}/{path}")

    def _inside(self, path: str) -> Object | None:
        if self._inner is None:
            if self._host.get(f"/api/v1/namespaces/vc-{NAME}/secrets/vc-{NAME}") is None:
                return None
            self._inner = self._stage.inside(NAME)
        return self._inner.get(path)

    def _ray_ready(self) -> bool:
        found = self._inside(f"/apis/ray.io/v1/namespaces/{RAY_NAMESPACE}/rayclusters/rays")
        return ((found or {}).get("status") or {}).get("state") == "ready"


class Hunt:
    """Kills whoever works at the virtual cluster, once per step, and keeps two workers alive.

    The platform's keeper starts the first worker anew: whoever it is now is known as well.
    """

    def __init__(self, platform: Local, clusters: Clusters) -> None:
        self._platform, self._host = platform, clusters.stage.host
        self._env = platform.environment_of("worker")
        self._extra: list[int] = []
        self._traces = Traces(clusters.stage)
        self._seen: dict[str, float] = {}
        self.killed: dict[str, float | None] = {}
        """Step -> seconds until another had the lease; None when nobody held it at the kill."""

    def run(self, deadline: float) -> None:
        """Until every step was hit."""
        self._reinforce()
        while len(self.killed) < len(self._traces.of):
            assert time.monotonic() < deadline, f"hit {self.killed}; {self._words()}"
            lease = (self._host.get(LEASE) or {}).get("spec", {})
            self._hit(lease, self._worker_of(lease.get("holderIdentity") or ""))

    def _hit(self, lease: Object, writer: int | None) -> None:
        """Kill the writer in the first step that has left a trace."""
        for step in self._traces.of:
            if step not in self.killed and self._traces.of[step]():
                self._seen.setdefault(step, time.monotonic())
                if writer or step == "probe" or self._long_seen(step):
                    self._end(writer or self._workers()[0])
                    began = time.monotonic()
                    self.killed[step] = self._takeover(lease, began) if writer else None
                    return

    def _long_seen(self, step: str) -> bool:
        """The step waits for pods and nobody writes: then any worker will do."""
        return time.monotonic() - self._seen.get(step, 1e18) > 2

    def _takeover(self, before: Object, began: float) -> float | None:
        """Seconds until the lease counts another holder; None when it was let go before the kill."""
        self._reinforce()
        while True:
            now = (self._host.get(LEASE) or {}).get("spec", {})
            if now.get("leaseTransitions", 0) > before.get("leaseTransitions", 0):
                return time.monotonic() - began
            if not now.get("holderIdentity"):
                return None
            assert time.monotonic() - began < 60, f"nobody took over from {before}"
            time.sleep(0.02)

    def _worker_of(self, holder: str) -> int | None:
        """The worker that a holder (`host/process/thread`) is, when it is one of ours."""
        pid = int(holder.split("/")[1]) if holder else 0
        return pid if pid in self._workers() else None

    def _workers(self) -> list[int]:
        """The platform's own, when it lives just now, and ours."""
        own = self._platform.pid("worker")
        return [*([own] if start_time(own) else []), *self._extra]

    def _end(self, worker: int) -> None:
        kill_tree(worker)
        until(lambda: start_time(worker) is None, f"worker {worker} is dead", 30)
        if worker in self._extra:
            self._extra.remove(worker)

    def _reinforce(self) -> None:
        """Two more workers behind whoever is next."""
        while len(self._workers()) < 3:
            self._extra.append(self._platform.add_worker(self._env))

    def _words(self) -> str:
        with self._platform.client() as client:
            return timeline(client.virtual_clusters.get(NAME))


def test_kill_at_every_step_converges(
    platform: Local, clusters: Clusters, figures: Figures
) -> None:
    try:
        hunt = Hunt(platform, clusters)
        began = time.monotonic()
        clusters.ask(NAME, rays=[small_ray()])
        hunt.run(began + READY_SECONDS)
        ready = clusters.ready(NAME)
        took = time.monotonic() - began
        # A step that the worker has and the table of traces has not would go unseen.
        assert sorted([*hunt.killed, *LEFT_OUT]) == sorted(s.name for s in ready.status.steps)
        waits = {step: seconds for step, seconds in hunt.killed.items() if seconds is not None}
        words = ", ".join(f"{step} {seconds:.1f}" for step, seconds in waits.items())
        figures.note(f"kill -9 during {len(hunt.killed)} steps, Ready after {took:.1f} s")
        figures.note(f"  seconds until another worker went on (goal {GOAL_SECONDS:.0f}): {words}")
        assert len(waits) >= 10  # the others were hit when just nobody wrote
    finally:
        platform.end_extra()
        assert platform.up(demo=False).code == 0
