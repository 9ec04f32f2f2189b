"""KubeRay inside the virtual cluster, in the version of its profile."""

from typing import Any

from atoll.cluster.kinds import DEPLOYMENT, Kind
from atoll.domain.names import SYSTEM_NAMESPACE
from atoll.resources.profiles import Chart
from atoll_worker.reconcile.outcome import Change, Done, Install, Outcome, Wait
from atoll_worker.reconcile.schedulers import adapter_of
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step
from atoll_worker.reconcile.steps.release import (
    Seen,
    install_when_needed,
    not_ready,
    starting_pods,
)
from atoll_worker.reconcile.values import kuberay_values


class InsideRelease(Step):
    """A chart in the virtual cluster, judged by its deployments. Gone with the namespace."""

    needs = ("AccessReady",)
    again = True

    def release(self, scope: Scope) -> str:
        """Name of the release."""
        raise NotImplementedError

    def deployments(self, scope: Scope) -> tuple[str, ...]:
        """The deployments it is judged by."""
        raise NotImplementedError

    def chart(self, scope: Scope) -> Chart:
        """The chart, of the profile."""
        raise NotImplementedError

    def values(self, scope: Scope) -> dict[str, Any]:
        """Its values."""
        raise NotImplementedError

    def awaits(self, scope: Scope) -> tuple[Kind, ...]:
        """Kinds of other releases that its programs look for when they start."""
        return ()

    async def observe(self, scope: Scope) -> Seen:
        inside = await scope.inside()
        release = await scope.releases.find(inside, self.release(scope), SYSTEM_NAMESPACE)
        names = self.deployments(scope)
        found = [await inside.find(DEPLOYMENT, name, SYSTEM_NAMESPACE) for name in names]
        return Seen(release, tuple(found), await starting_pods(inside, *found))

    def plan(self, scope: Scope, seen: Seen) -> list[Change]:
        chart, values = self.chart(scope), self.values(scope)
        install = Install(
            self.release(scope), SYSTEM_NAMESPACE, chart, values, inside=True,
            awaits=self.awaits(scope),
        )  # fmt: skip
        return install_when_needed(scope, seen.release, chart, install)

    def judge(self, scope: Scope, seen: Seen) -> Outcome:
        if seen.release is None or seen.release.status != "deployed":
            return Wait("Installing", f"{self.chart(scope).name} is not there yet")
        for name, workload in zip(self.deployments(scope), seen.workloads, strict=True):
            waiting = not_ready(workload, name, seen.pods)
            if waiting:
                return waiting
        chart = self.chart(scope)
        return Done(f"{chart.name} {chart.version} runs")


class Operator(InsideRelease):
    """The Ray operator."""

    name, title, condition = "operator", "Install KubeRay", "OperatorReady"

    def release(self, scope: Scope) -> str:
        return "kuberay-operator"

    def deployments(self, scope: Scope) -> tuple[str, ...]:
        return ("kuberay-operator",)

    def chart(self, scope: Scope) -> Chart:
        return scope.versions.spec.kuberay.chart

    def values(self, scope: Scope) -> dict[str, Any]:
        return kuberay_values(scope.versions, shared=scope.vc.spec.mode == "shared")

    def awaits(self, scope: Scope) -> tuple[Kind, ...]:
        """What gangs are made of: it watches that too."""
        return (adapter_of(scope.versions).told_by,)
