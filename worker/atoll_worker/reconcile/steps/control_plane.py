"""The virtual control plane: the vcluster release."""

from atoll.cluster.kinds import SECRET, STATEFUL_SET
from atoll.domain import names
from atoll_worker.reconcile.outcome import Change, Done, Install, Outcome, Uninstall, Wait
from atoll_worker.reconcile.ports import Release
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step
from atoll_worker.reconcile.steps.release import (
    Seen,
    install_when_needed,
    not_ready,
    starting_pods,
)
from atoll_worker.reconcile.values import vcluster_values


class ControlPlane(Step):
    """Ready when its pod is, and vcluster has exported the kubeconfig (its syncer works)."""

    name, title, condition = "control-plane", "Start the virtual control plane", "ControlPlaneReady"
    needs = ("GuardRailsReady",)

    async def observe(self, scope: Scope) -> Seen:
        release = await scope.releases.find(scope.host, scope.vc.name, scope.namespace)
        workload = await scope.host.find(STATEFUL_SET, scope.vc.name, scope.namespace)
        secret = await scope.host.find(
            SECRET, names.kubeconfig_secret(scope.vc.name), scope.namespace
        )
        return Seen(release, (workload, secret), await starting_pods(scope.host, workload))

    def plan(self, scope: Scope, seen: Seen) -> list[Change]:
        chart = scope.versions.spec.vcluster.chart
        values = vcluster_values(scope.vc, scope.versions)
        install = Install(scope.vc.name, scope.namespace, chart, values)
        return install_when_needed(scope, seen.release, chart, install)

    def judge(self, scope: Scope, seen: Seen) -> Outcome:
        workload, secret = seen.workloads
        waiting = not_ready(workload, "The API server of the virtual cluster", seen.pods)
        if waiting:
            return waiting
        if secret is None:
            return Wait("ExportingKubeconfig", "The API server runs; its kubeconfig is on the way")
        return Done(f"Kubernetes {scope.versions.spec.kubernetes.version} serves")

    async def remains(self, scope: Scope) -> Release | None:
        return await scope.releases.find(scope.host, scope.vc.name, scope.namespace)

    def remove_plan(self, scope: Scope, left: Release | None) -> list[Change]:
        return [Uninstall(scope.vc.name, scope.namespace)] if left else []

    def removed(self, scope: Scope, left: Release | None) -> Outcome:
        return Wait("Uninstalling", "The release is still there") if left else Done("Gone")
