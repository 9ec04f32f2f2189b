"""Quota, limits, network policy and Redis of the host namespace: the release `tenant`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atoll.cluster.kinds import NODE, RESOURCE_QUOTA
from atoll.domain.quantities import parse_quantity
from atoll.domain.queue_shares import differences
from atoll_worker.reconcile.node_addresses import node_blocks
from atoll_worker.reconcile.outcome import Change, Done, Install, Outcome, Patch, Wait
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step
from atoll_worker.reconcile.steps.release import Seen, install_when_needed
from atoll_worker.reconcile.values import tenant_values

RELEASE = "tenant"
_SECRETS = "count/secrets"
_ROOM = 5
"""Secrets that one revision may need."""


def tenant_chart(configured: Path | None) -> Path:
    """The folder of helm/tenant: as configured, or where the source tree has it."""
    return configured or Path(__file__).parents[4] / "helm" / "tenant"


@dataclass(frozen=True)
class Rails(Seen):
    """The release, and the address blocks from which processes outside the cluster reach its pods."""

    blocks: tuple[str, ...] = ()


class GuardRails(Step):
    """There before anything of the tenant can run, and gone only with the namespace itself."""

    name, title, condition = "guard-rails", "Put up the guard rails", "GuardRailsReady"
    needs = ("NamespaceReady",)

    def _values(self, scope: Scope, seen: Rails) -> dict[str, Any]:
        network = {
            "platformNamespace": scope.settings.namespace,
            "apiServerFrom": [{"cidr": block} for block in seen.blocks],
        }
        return tenant_values(scope.vc, scope.versions, scope.fence) | {"network": network}

    async def observe(self, scope: Scope) -> Rails:
        release = await scope.releases.find(scope.host, RELEASE, scope.namespace)
        quota = await scope.host.find(RESOURCE_QUOTA, "tenant", scope.namespace)
        return Rails(release, (quota,), blocks=await self._blocks(scope))

    async def _blocks(self, scope: Scope) -> tuple[str, ...]:
        """With `atoll up` at somebody's cluster the platform's processes are no pods but a node's."""
        outside = scope.settings.reach == "cluster-ip"
        nodes = node_blocks(await scope.host.items(NODE)) if outside else []
        more = [block for block in scope.settings.api_server_from.split(",") if block]
        return (*nodes, *(block for block in more if block not in nodes))

    def plan(self, scope: Scope, seen: Rails) -> list[Change]:
        chart = tenant_chart(scope.settings.tenant_chart)
        values = self._values(scope, seen)
        install = Install(RELEASE, scope.namespace, chart, values)
        wanted: dict[str, str] = values["quota"]["hard"]
        if wanted and seen.workloads[0] is None:
            return [install]  # somebody deleted the quota; the release does not know
        changes = install_when_needed(scope, seen.release, chart, install)
        if changes and not _secrets_full(seen):
            return changes
        if not changes and self._holds(values, seen):
            return []
        # Somebody changed it, or used all of its Secrets. Not by helm, which needs one for a new revision.
        hard = dict.fromkeys(_hard(seen)) | wanted
        if changes:
            hard[_SECRETS] = str(_amount(seen, "used") + _ROOM)
        return [Patch(RESOURCE_QUOTA, RELEASE, {"spec": {"hard": hard}}, scope.namespace), *changes]

    def judge(self, scope: Scope, seen: Rails) -> Outcome:
        if seen.release is None or seen.release.status != "deployed":
            return Wait("Installing", "Quota, limits and network policy are not there yet")
        if not self._holds(self._values(scope, seen), seen):
            return Wait("Installing", "The quota is not there yet, or not as it must be")
        return Done("Quota, limits and network policy hold")

    def _holds(self, values: dict[str, Any], seen: Rails) -> bool:
        """Whether the ResourceQuota says what the release was told, and no more."""
        return not differences(values["quota"]["hard"], _hard(seen))


def _secrets_full(seen: Rails) -> bool:
    """Whether the team has left no Secret for a revision of the release: it could keep its quota so."""
    return 0 < _amount(seen, "hard") <= _amount(seen, "used")


def _amount(seen: Rails, part: str) -> int:
    status = (seen.workloads[0] or {}).get("status") or {}
    return int(parse_quantity((status.get(part) or {}).get(_SECRETS, "0")))


def _hard(seen: Rails) -> dict[str, str]:
    """What the ResourceQuota says; nothing when there is none."""
    return dict(((seen.workloads[0] or {}).get("spec") or {}).get("hard") or {})
