"""The team's queue in the gang scheduler, capped by the virtual cluster's quota."""

from atoll.cluster.client import InitializingError, Object
from atoll.cluster.kinds import kind_of
from atoll.domain.names import queue_name
from atoll.errors import NotFoundError
from atoll_worker.reconcile.outcome import Change, Done, Outcome, Wait
from atoll_worker.reconcile.queue_changes import queue_changes
from atoll_worker.reconcile.queue_layers import inside_layers, lags
from atoll_worker.reconcile.schedulers import adapter_of
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step

Seen = tuple[bool, Object | None]
"""Whether queues are served at all, and ours."""


class Queue(Step):
    """Every gang of the team goes through it."""

    name, title, condition = "queue", "Make the team's queue", "QueueReady"
    needs = ("AccessReady",)
    after = ("SchedulerReady",)

    async def observe(self, scope: Scope) -> Seen:
        inside = await scope.inside()
        manifest = self._manifest(scope)
        meta = manifest["metadata"]
        try:
            found = await inside.items(kind_of(manifest), meta.get("namespace"))
        except (NotFoundError, InitializingError):
            return False, None
        return True, next((q for q in found if q["metadata"]["name"] == meta["name"]), None)

    def _manifest(self, scope: Scope) -> Object:
        adapter, queue = adapter_of(scope.versions), queue_name(scope.vc.spec.team)
        return adapter.queue_spec(queue, scope.queue_share, scope.labels(self.name))

    def plan(self, scope: Scope, seen: Seen) -> list[Change]:
        served, queue = seen
        return queue_changes(queue, self._manifest(scope), inside=True) if served else []

    def judge(self, scope: Scope, seen: Seen) -> Outcome:
        served, queue = seen
        if not served:
            return Wait("WaitingForScheduler", "The scheduler's resources are not served yet")
        if queue is None:
            return Wait("Making", "The queue is not there yet")
        if told := lags(inside_layers(scope, queue)):
            return Wait("LayerLags", told)
        if queue_changes(queue, self._manifest(scope)):
            return Wait("Making", "The queue's amounts are as they must be, the rest of it not yet")
        return Done(queue_name(scope.vc.spec.team))
