"""The Redis of the fault-tolerant GCS answers."""

from atoll.cluster.client import Object
from atoll.cluster.kinds import STATEFUL_SET
from atoll_worker.reconcile.outcome import Change, Done, Outcome
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step
from atoll_worker.reconcile.steps.release import not_ready


class Redis(Step):
    """Installed with the guard rails; judged by its own pods."""

    name, title, condition = "redis", "Start Redis for the Ray head's state", "RedisReady"
    needs = ("GuardRailsReady",)

    async def observe(self, scope: Scope) -> Object | None:
        return await scope.host.find(STATEFUL_SET, "redis", scope.namespace)

    def plan(self, scope: Scope, seen: Object | None) -> list[Change]:
        return []

    def judge(self, scope: Scope, seen: Object | None) -> Outcome:
        return not_ready(seen, "Redis") or Done("Redis answers and keeps what it is told")
