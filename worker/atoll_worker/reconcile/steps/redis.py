"""The Redis of the fault-tolerant GCS answers."""

from atoll.cluster.client import Object
from atoll.cluster.kinds import STATEFUL_SET
from atoll.domain.plurals import count
from atoll_worker.reconcile.outcome import Change, Done, Outcome, Wait
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step
from atoll_worker.reconcile.steps.release import not_ready


class Redis(Step):
    """Installed with the guard rails; judged by its own pods."""

    name, title, condition = "redis", "Start Redis for the Ray head's state", "RedisReady"
    needs = ("GuardRailsReady",)

    async def observe(self, scope: Scope) -> dict[str, Object | None]:
        """What runs it, by what people call it."""
        parts = {"Redis": "redis"}
        if scope.versions.spec.redis.replicas > 1:
            parts["Sentinel"] = "redis-sentinel"
        return {
            what: await scope.host.find(STATEFUL_SET, name, scope.namespace)
            for what, name in parts.items()
        }

    def plan(self, scope: Scope, seen: dict[str, Object | None]) -> list[Change]:
        return []

    def judge(self, scope: Scope, seen: dict[str, Object | None]) -> Outcome:
        if len(seen) == 1:
            return not_ready(seen["Redis"], "Redis") or Done("Redis keeps what it is told")
        told = []
        for what, workload in seen.items():
            if workload is None:
                return Wait("Installing", f"{what} is not there yet")
            wanted = workload["spec"]["replicas"]
            ready = workload.get("status", {}).get("readyReplicas", 0)
            told.append(f"{what}: {ready} of {count(wanted, 'pod')} ready")
            # Most of them are enough: that is what they are three for.
            if ready <= wanted // 2:
                return Wait("Starting", told[-1])
        return Done("; ".join(told))
