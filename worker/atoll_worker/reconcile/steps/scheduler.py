"""The gang scheduler inside the virtual cluster (dedicated mode)."""

from typing import Any

from atoll.resources.profiles import Chart
from atoll_worker.reconcile.schedulers import adapter_of
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.steps.operator import InsideRelease


class Scheduler(InsideRelease):
    """The one the profile names, as its adapter wants it installed."""

    name, title, condition = "scheduler", "Install the gang scheduler", "SchedulerReady"

    def release(self, scope: Scope) -> str:
        return adapter_of(scope.versions).release

    def deployments(self, scope: Scope) -> tuple[str, ...]:
        return adapter_of(scope.versions).deployments

    def chart(self, scope: Scope) -> Chart:
        return scope.versions.spec.scheduler.chart

    def values(self, scope: Scope) -> dict[str, Any]:
        return adapter_of(scope.versions).values(scope.versions)
