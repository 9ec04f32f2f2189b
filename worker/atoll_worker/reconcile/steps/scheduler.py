"""The gang scheduler inside the virtual cluster; in shared mode, whose gangs the host schedules, only
its resources.
"""

from typing import Any

from atoll.resources.profiles import Chart
from atoll_worker.reconcile.outcome import Done, Outcome
from atoll_worker.reconcile.schedulers import adapter_of
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.steps.operator import InsideRelease
from atoll_worker.reconcile.steps.release import Seen
from atoll_worker.reconcile.values import volcano_definitions


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

    def judge(self, scope: Scope, seen: Seen) -> Outcome:
        outcome = super().judge(scope, seen)
        if scope.vc.spec.mode == "dedicated" or not isinstance(outcome, Done):
            return outcome
        return Done("Gangs are made here and scheduled by the host's Volcano")
