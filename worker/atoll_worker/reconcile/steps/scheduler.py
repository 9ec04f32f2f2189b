"""The gang scheduler inside the virtual cluster (dedicated mode)."""

from typing import Any

from atoll.resources.profiles import Chart
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.steps.operator import InsideRelease
from atoll_worker.reconcile.values import volcano_values


class Scheduler(InsideRelease):
    """Volcano: scheduler and controller, without webhooks."""

    name, title, condition = "scheduler", "Install the gang scheduler", "SchedulerReady"
    release = "volcano"
    deployments = ("volcano-scheduler", "volcano-controllers")

    def chart(self, scope: Scope) -> Chart:
        return scope.versions.spec.scheduler.chart

    def values(self, scope: Scope) -> dict[str, Any]:
        return volcano_values(scope.versions)
