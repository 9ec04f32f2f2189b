"""The last word before Ready: is it usable the way a tenant would use it?"""

from typing import Any

from atoll.cluster.kinds import RAY_CLUSTER
from atoll.domain.names import RAY_NAMESPACE
from atoll_worker.reconcile.outcome import Change, Done, Outcome
from atoll_worker.reconcile.schedulers import adapter_of
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step


class Probe(Step):
    """Asks the virtual cluster's API for its health, for Ray clusters and for what gangs are made of."""

    name, title, condition = "probe", "Try it as the team would", "ProbeReady"
    needs = ("NodesReady", "HostQueueReady", "RedisReady", "OperatorReady", "SchedulerReady", "QueueReady",
             "PoliciesReady", "RayClustersReady", "GcsUsersReady")  # fmt: skip

    async def observe(self, scope: Scope) -> str:
        inside = await scope.inside()
        await inside.request("GET", "/readyz")
        await inside.items(RAY_CLUSTER, RAY_NAMESPACE)
        # Where only definitions were installed, nothing else has asked whether they are served yet.
        await inside.items(adapter_of(scope.versions).told_by, RAY_NAMESPACE)
        version = (await inside.request("GET", "/version")).json()
        return str(version["gitVersion"]).lstrip("v")

    def plan(self, scope: Scope, seen: str) -> list[Change]:
        return []

    def facts(self, scope: Scope, seen: str) -> dict[str, Any]:
        return {"kubernetes_version": seen}

    def judge(self, scope: Scope, seen: str) -> Outcome:
        return Done(f"Kubernetes {seen} answers and serves Ray clusters")
