"""Quota, limits, network policy and Redis of the host namespace: the release `tenant`."""

from pathlib import Path
from typing import Any

from atoll.cluster.kinds import RESOURCE_QUOTA
from atoll_worker.reconcile.outcome import Change, Done, Install, Outcome, Wait
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step
from atoll_worker.reconcile.steps.release import Seen, install_when_needed
from atoll_worker.reconcile.values import tenant_values

RELEASE = "tenant"


def tenant_chart(configured: Path | None) -> Path:
    """The folder of helm/tenant: as configured, or where the source tree has it."""
    return configured or Path(__file__).parents[4] / "helm" / "tenant"


class GuardRails(Step):
    """There before anything of the tenant can run, and gone only with the namespace itself."""

    name, title, condition = "guard-rails", "Put up the guard rails", "GuardRailsReady"
    needs = ("NamespaceReady",)

    def _values(self, scope: Scope) -> dict[str, Any]:
        return tenant_values(scope.vc, scope.versions, scope.fence)

    async def observe(self, scope: Scope) -> Seen:
        release = await scope.releases.find(scope.host, RELEASE, scope.namespace)
        quota = await scope.host.find(RESOURCE_QUOTA, "tenant", scope.namespace)
        return Seen(release, (quota,))

    def plan(self, scope: Scope, seen: Seen) -> list[Change]:
        chart = tenant_chart(scope.settings.tenant_chart)
        values = self._values(scope)
        install = Install(RELEASE, scope.namespace, chart, values)
        if values["quota"]["hard"] and seen.workloads[0] is None:
            return [install]  # somebody deleted the quota; the release does not know
        return install_when_needed(scope, seen.release, chart, install)

    def judge(self, scope: Scope, seen: Seen) -> Outcome:
        if seen.release is None or seen.release.status != "deployed":
            return Wait("Installing", "Quota, limits and network policy are not there yet")
        if self._values(scope)["quota"]["hard"] and seen.workloads[0] is None:
            return Wait("Installing", "The quota is not there yet")
        return Done("Quota, limits and network policy hold")

    def facts(self, scope: Scope, seen: Seen) -> dict[str, Any]:
        used = ((seen.workloads[0] or {}).get("status") or {}).get("used") or {}
        return {"used": {k.removeprefix("requests."): str(v) for k, v in used.items()}}
