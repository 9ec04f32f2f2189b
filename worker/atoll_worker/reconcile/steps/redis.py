"""The Redis of the fault-tolerant GCS answers."""

from dataclasses import dataclass
from datetime import UTC, datetime

from atoll.cluster.client import Object
from atoll.cluster.kinds import STATEFUL_SET
from atoll.domain.plurals import count
from atoll.domain.pull_failures import pull_failure
from atoll.errors import NotFoundError, PermanentError, TemporaryError
from atoll_worker.reconcile.outcome import Change, Done, ForgetStore, Outcome, Wait
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step
from atoll_worker.reconcile.steps.release import not_ready, starting_pods

PATIENCE_SECONDS = 60.0
"""How long an external Redis that does not answer may hold up a deletion."""


@dataclass(frozen=True)
class Seen:
    """What runs it, by what people call it, and its pods while they are not all ready."""

    parts: dict[str, Object | None]
    pods: tuple[Object, ...] = ()


class Redis(Step):
    """Installed with the guard rails; judged by its own pods."""

    name, title, condition = "redis", "Start Redis for the Ray head's state", "RedisReady"
    needs = ("GuardRailsReady",)

    async def observe(self, scope: Scope) -> Seen:
        """What runs it, by what people call it; nothing for an external one, which is asked here: it
        raises what is wrong with that one.
        """
        if scope.external:
            await (await scope.external_store()).check()
            return Seen({})
        parts = {"Redis": "redis"}
        if scope.versions.spec.redis.replicas > 1:
            parts["Sentinel"] = "redis-sentinel"
        found = {
            what: await scope.host.find(STATEFUL_SET, name, scope.namespace)
            for what, name in parts.items()
        }
        return Seen(found, await starting_pods(scope.host, *found.values()))

    def plan(self, scope: Scope, seen: Seen) -> list[Change]:
        return []

    def judge(self, scope: Scope, seen: Seen) -> Outcome:
        if scope.external:
            return Done(f"Redis at {scope.external.address} takes what it is told")
        if len(seen.parts) == 1:
            waiting = not_ready(seen.parts["Redis"], "Redis", seen.pods)
            return waiting or Done("Redis keeps what it is told")
        told = []
        for what, workload in seen.parts.items():
            if workload is None:
                return Wait("Installing", f"{what} is not there yet")
            wanted = workload["spec"]["replicas"]
            ready = workload.get("status", {}).get("readyReplicas", 0)
            told.append(f"{what}: {ready} of {count(wanted, 'pod')} ready")
            # Most of them are enough: that is what they are three for.
            if ready <= wanted // 2 and (failed := pull_failure(seen.pods)):
                return Wait("ImageNotPulled", f"{what}: {failed}")
            if ready <= wanted // 2:
                return Wait("Starting", told[-1])
        return Done("; ".join(told))

    async def remains(self, scope: Scope) -> str | None:
        """What an external Redis still keeps of it. Our own goes with the namespace.

        One that does not answer holds up the deletion for a minute; what it keeps is removed by a later
        look at any virtual cluster on it.
        """
        if not scope.external:
            return None
        try:
            access = await scope.external_access()
            members = await scope.stores.external(access).members()
        except (TemporaryError, PermanentError, NotFoundError):
            since = datetime.fromisoformat(scope.vc.metadata.deletion_timestamp or "")
            if (datetime.now(UTC) - since).total_seconds() > PATIENCE_SECONDS:
                return None
            raise
        return access.member if access.member in members else None

    def remove_plan(self, scope: Scope, left: str | None) -> list[Change]:
        return [ForgetStore(left)] if left else []

    def removed(self, scope: Scope, left: str | None) -> Outcome:
        if left:
            return Wait("Removing", "The external Redis still has users or keys of it")
        return Done(
            "Nothing is kept in a Redis of others, or it goes with the next look at that Redis"
        )
