"""The gang scheduler inside the virtual cluster; in shared mode, whose gangs the host schedules, only
its resources.
"""

from collections.abc import Mapping
from typing import Any

from atoll.cluster.client import Object
from atoll.resources.profiles import Chart
from atoll_worker.reconcile.outcome import Change, Done, Outcome, Put
from atoll_worker.reconcile.schedulers import adapter_of
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.steps.operator import InsideRelease
from atoll_worker.reconcile.steps.release import Seen
from atoll_worker.reconcile.values import volcano_definitions


def with_environment(deployment: Object, wanted: Mapping[str, str]) -> Object | None:
    """A manifest to apply that gives every container these variables; None when all have them.

    It names nothing else, so that everything else stays helm's (server-side apply).
    """
    containers = deployment["spec"]["template"]["spec"]["containers"]
    entries = [{"name": name, "value": value} for name, value in sorted(wanted.items())]
    if all(entry in container.get("env", []) for entry in entries for container in containers):
        return None
    told = [{"name": container["name"], "env": entries} for container in containers]
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {key: deployment["metadata"][key] for key in ("name", "namespace")},
        "spec": {"template": {"spec": {"containers": told}}},
    }


class Scheduler(InsideRelease):
    """The one the profile names, as its adapter wants it installed; or its definitions alone."""

    name, title, condition = "scheduler", "Install the gang scheduler", "SchedulerReady"

    def release(self, scope: Scope) -> str:
        return adapter_of(scope.versions).release

    def deployments(self, scope: Scope) -> tuple[str, ...]:
        shared = scope.vc.spec.mode == "shared"
        return () if shared else adapter_of(scope.versions).deployments

    def chart(self, scope: Scope) -> Chart:
        return scope.versions.spec.scheduler.chart

    def values(self, scope: Scope) -> dict[str, Any]:
        if scope.vc.spec.mode == "shared":
            return volcano_definitions()
        return adapter_of(scope.versions).values(scope.versions)

    def plan(self, scope: Scope, seen: Seen) -> list[Change]:
        """The release; once it is there, what its chart has no value for."""
        wanted = adapter_of(scope.versions).environment
        return super().plan(scope, seen) or [
            Put(told, inside=True)
            for workload in seen.workloads
            if workload is not None and (told := with_environment(workload, wanted))
        ]

    def judge(self, scope: Scope, seen: Seen) -> Outcome:
        outcome = super().judge(scope, seen)
        if scope.vc.spec.mode == "dedicated" or not isinstance(outcome, Done):
            return outcome
        return Done("Gangs are made here and scheduled by the host's Volcano")
