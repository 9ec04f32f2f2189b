"""Shared mode: the virtual cluster's queue in the host's gang scheduler. It holds its quota."""

from collections.abc import Mapping

from atoll.cluster.client import Object
from atoll.cluster.kinds import QUEUE
from atoll.domain.names import host_queue
from atoll.domain.queue_shares import queue_amounts
from atoll_worker.reconcile.outcome import Change, Done, Outcome, Remove, Wait
from atoll_worker.reconcile.queue_changes import queue_changes
from atoll_worker.reconcile.queue_layers import host_layers, host_queue_spec, lags
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
        return {
            "apiVersion": QUEUE.api_version,
            "kind": QUEUE.kind,
            "metadata": {"name": host_queue(scope.vc.name), "labels": scope.labels(self.name)},
            "spec": host_queue_spec(scope),
        }

    def plan(self, scope: Scope, seen: Object | None) -> list[Change]:
        return queue_changes(seen, self._manifest(scope))

    def judge(self, scope: Scope, seen: Object | None) -> Outcome:
        if seen is None:
            return Wait("Making", "The queue is not there yet")
        name, found = host_queue(scope.vc.name), queue_amounts(seen)
        if told := lags(host_layers(scope, seen)):
            return Wait("LayerLags", told)
        if (seen.get("status") or {}).get("state") != "Open":
            return Wait("QueueOpening", "The host's scheduler has not opened the queue yet")
        kept = f"; kept free for it: {_amounts(found['guarantee'])}" if found["guarantee"] else ""
        return Done(f"{name}: at most {_amounts(found['capability'])}{kept}")

    async def remains(self, scope: Scope) -> Object | None:
        return await self.observe(scope)

    def remove_plan(self, scope: Scope, left: Object | None) -> list[Change]:
        return [Remove(QUEUE, host_queue(scope.vc.name))] if left else []

    def removed(self, scope: Scope, left: Object | None) -> Outcome:
        return Wait("RemovingQueue", "The host's queue is still there") if left else Done("Gone")


def _amounts(amounts: Mapping[str, str]) -> str:
    return ", ".join(f"{resource} {amount}" for resource, amount in sorted(amounts.items()))
