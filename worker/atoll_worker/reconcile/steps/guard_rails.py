"""Quota, limits, network policy and Redis of the host namespace: the release `tenant`."""

from pathlib import Path
from typing import Any

from atoll.cluster.kinds import RESOURCE_QUOTA
from atoll_worker.reconcile.outcome import Change, Done, Install, Outcome, Uninstall, Wait
from atoll_worker.reconcile.ports import Release
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step
from atoll_worker.reconcile.steps.release import Seen, install_when_needed
from atoll_worker.reconcile.values import tenant_values

RELEASE = "tenant"


def tenant_chart(configured: Path | None) -> Path:
    """The folder of helm/tenant: as configured, or where the source tree has it."""
    return configured or Path(__file__).parents[4] / "helm" / "tenant"


class GuardRails(Step):
    """There before anything of the tenant can run."""

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
        install = Install(RELEASE, scope.namespace, chart, self._values(scope))
        return install_when_needed(scope, seen.release, chart, install)

    def judge(self, scope: Scope, seen: Seen) -> Outcome:
        if seen.release is None or seen.release.status != "deployed":
            return Wait("Installing", "Quota, limits and network policy are not there yet")
        return Done("Quota, limits and network policy hold")

    def facts(self, scope: Scope, seen: Seen) -> dict[str, Any]:
        used = ((seen.workloads[0] or {}).get("status") or {}).get("used") or {}
        return {"used": {k.removeprefix("requests."): str(v) for k, v in used.items()}}

    async def remains(self, scope: Scope) -> Release | None:
        return await scope.releases.find(scope.host, RELEASE, scope.namespace)

    def remove_plan(self, scope: Scope, left: Release | None) -> list[Change]:
        return [Uninstall(RELEASE, scope.namespace)] if left else []

    def removed(self, scope: Scope, left: Release | None) -> Outcome:
        return Wait("Uninstalling", "The release is still there") if left else Done("Gone")
