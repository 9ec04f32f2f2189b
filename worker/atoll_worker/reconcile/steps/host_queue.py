"""Shared mode: the virtual cluster's queue in the host's gang scheduler. It holds its quota."""

from atoll.cluster.client import Object
from atoll.cluster.kinds import QUEUE
from atoll.cluster.quota_trees import limits_of
from atoll.domain.gangs import queue_spec
from atoll.domain.names import host_queue
from atoll_worker.reconcile.outcome import Change, Done, Outcome, Remove, Wait
from atoll_worker.reconcile.queue_changes import queue_changes
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step


class HostQueue(Step):
    """Removed when the namespace is gone, for Volcano lets no queue go that still has pods."""

    name, title, condition = "host-queue", "Make its queue on the host", "HostQueueReady"
    needs = ("HostSchedulerReady",)

    def applies(self, scope: Scope) -> bool:
        return scope.vc.spec.mode == "shared"

    async def observe(self, scope: Scope) -> Object | None:
        return await scope.host.find(QUEUE, host_queue(scope.vc.name))

    def _manifest(self, scope: Scope) -> Object:
        assert scope.team is not None
        lines = scope.team.spec.quota
        guaranteed = {
            n: line.guaranteed for n, line in lines.items() if line.guaranteed is not None
        }
        limits = limits_of(scope.team.manifest())
        return {
            "apiVersion": QUEUE.api_version,
            "kind": QUEUE.kind,
            "metadata": {"name": host_queue(scope.vc.name), "labels": scope.labels(self.name)},
            "spec": queue_spec(scope.vc.spec.quota, limits, guaranteed),
        }

    def plan(self, scope: Scope, seen: Object | None) -> list[Change]:
        return queue_changes(seen, self._manifest(scope))

    def judge(self, scope: Scope, seen: Object | None) -> Outcome:
        if seen is None:
            return Wait("Making", "The queue is not there yet")
        if (seen.get("status") or {}).get("state") != "Open":
            return Wait("QueueOpening", "The host's scheduler has not opened the queue yet")
        cap = ", ".join(f"{n} {a}" for n, a in sorted(seen["spec"]["capability"].items()))
        return Done(f"{seen['metadata']['name']}: at most {cap}")

    async def remains(self, scope: Scope) -> Object | None:
        return await self.observe(scope)

    def remove_plan(self, scope: Scope, left: Object | None) -> list[Change]:
        return [Remove(QUEUE, host_queue(scope.vc.name))] if left else []

    def removed(self, scope: Scope, left: Object | None) -> Outcome:
        return Wait("RemovingQueue", "The host's queue is still there") if left else Done("Gone")
