"""The last word before Ready: is it usable the way a tenant would use it?"""

from typing import Any

from atoll.cluster.client import Cluster, InitializingError
from atoll.cluster.kinds import RAY_CLUSTER, Kind
from atoll.domain.names import RAY_NAMESPACE
from atoll.errors import AtollError, NotFoundError
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
        for kind in (RAY_CLUSTER, adapter_of(scope.versions).told_by):
            if kind.group:  # the kinds of the core need no definition
                await _let_in(inside, kind)
        version = (await inside.request("GET", "/version")).json()
        return str(version["gitVersion"]).lstrip("v")

    def plan(self, scope: Scope, seen: str) -> list[Change]:
        return []

    def facts(self, scope: Scope, seen: str) -> dict[str, Any]:
        return {"kubernetes_version": seen}

    def judge(self, scope: Scope, seen: str) -> Outcome:
        return Done(f"Kubernetes {seen} answers and serves Ray clusters")


async def _let_in(inside: Cluster, kind: Kind) -> None:
    """Return when the API server takes objects of the kind, also if something refuses this one.

    It lists a new kind at once, and for five seconds more answers every creation with 503 where a
    mutating policy matches (k8s.io/apiserver, policy/mutating/patch/typeconverter.go). So: a dry run.
    """
    empty = {
        "apiVersion": kind.api_version,
        "kind": kind.kind,
        "metadata": {"name": "atoll-probe", "namespace": RAY_NAMESPACE},
        "spec": {},
    }
    try:
        await inside.create(empty, dry_run=True)
    except (NotFoundError, InitializingError):
        raise
    except AtollError:
        return  # by its schema, a policy of ours, or whatever a tenant set before it
