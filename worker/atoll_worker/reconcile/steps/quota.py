"""One quota in every layer: they agree, or the condition says which lags, and by how much."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from atoll.cluster.client import InitializingError, Object
from atoll.cluster.kinds import (
    NODE,
    PERSISTENT_VOLUME_CLAIM,
    POD,
    QUEUE,
    RESOURCE_QUOTA,
    SERVICE,
    TEAM,
    Kind,
    kind_of,
)
from atoll.cluster.quota_trees import entries_of
from atoll.domain.names import host_queue, queue_name
from atoll.domain.node_sizes import size_of
from atoll.domain.quantities import add_quantities, parse_quantity
from atoll.domain.quotas import COUNTED, Amounts, demand, is_extended
from atoll.domain.usage import free_of, over, requests_of
from atoll.errors import NotFoundError
from atoll_worker.reconcile.outcome import Change, Done, Outcome, Wait
from atoll_worker.reconcile.policies.manifests import SYSTEM_NAMESPACES
from atoll_worker.reconcile.queue_layers import Layer, host_layers, inside_layers, lags
from atoll_worker.reconcile.schedulers import adapter_of
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step
from atoll_worker.reconcile.values import host_quota, share_inside

_COPIED_BY = "vcluster.loft.sh/managed-by"
_COPIED_FROM = "vcluster.loft.sh/namespace"


@dataclass(frozen=True)
class Seen:
    """The layers, and what the team's own objects hold on the host."""

    layers: tuple[Layer, ...]
    used: dict[str, str]
    unknown: tuple[str, ...] = ()
    """Devices that the quota names and no node of the host has."""
    devices: tuple[str, ...] = ()
    """Those that there are, when one is unknown."""


class Quota(Step):
    """Writes nothing: each layer has its own step. It compares what really holds."""

    name, title, condition = "quota", "Agree on the quota", "QuotaReady"
    needs = ("GuardRailsReady",)
    after = ("HostQueueReady", "QueueReady", "PoliciesReady")

    async def observe(self, scope: Scope) -> Seen:
        team = await scope.host.find(TEAM, scope.vc.spec.team)
        held = entries_of(team or {}).get(scope.vc.name) or {}
        layers = [
            Layer("the team's ledger", demand(scope.vc.spec.quota), held),
            await self._host_layer(scope),
        ]
        shared = scope.vc.spec.mode == "shared"
        queue = self._host_queue_layers if shared else self._queue_layers
        layers += await queue(scope)
        return Seen(tuple(layers), await self._used(scope), *await _devices(scope))

    async def _host_queue_layers(self, scope: Scope) -> list[Layer]:
        """Shared mode: what the host's scheduler goes by."""
        return host_layers(scope, await scope.host.find(QUEUE, host_queue(scope.vc.name)))

    async def _host_layer(self, scope: Scope) -> Layer:
        """Of the host's quota its status: that is what the host's admission goes by."""
        found = await scope.host.find(RESOURCE_QUOTA, "tenant", scope.namespace)
        hard = ((found or {}).get("status") or {}).get("hard") or {}
        wanted = host_quota(scope.vc, scope.versions)
        return Layer("the host's ResourceQuota (with the platform's own pods)", wanted, hard)

    async def _queue_layers(self, scope: Scope) -> list[Layer]:
        name = queue_name(scope.vc.spec.team)
        manifest = adapter_of(scope.versions).queue_spec(name, scope.queue_share, {})
        meta = manifest["metadata"]
        try:
            inside = await scope.inside()
            found = await inside.find(kind_of(manifest), meta["name"], meta.get("namespace"))
        except (NotFoundError, InitializingError):
            found = None
        return inside_layers(scope, found)

    async def _used(self, scope: Scope) -> dict[str, str]:
        quota = scope.vc.spec.quota
        # In shared mode pods of a gang that waits are on the host too, and hold nothing yet.
        placed = [pod for pod in await _copied(scope, POD) if pod["spec"].get("nodeName")]
        share = share_inside(scope.vc)
        used = _held(placed, share, requests_of)
        if "storage" in quota:
            used |= _held(await _copied(scope, PERSISTENT_VOLUME_CLAIM), share, _storage)
        if "services" in quota:
            used |= _held(await _copied(scope, SERVICE), share, lambda s: {"services": str(len(s))})
        if "rayclusters" in quota:
            used["rayclusters"] = str(await _ray_clusters(scope))
        return {r: amount for r, amount in used.items() if not quota or r in quota}

    def plan(self, scope: Scope, seen: Seen) -> list[Change]:
        return []

    def judge(self, scope: Scope, seen: Seen) -> Outcome:
        if told := lags(seen.layers):
            return Wait("LayerLags", told)
        extra = over(scope.vc.spec.quota, seen.used)
        if extra:
            words = ", ".join(
                f"{resource} {seen.used[resource]} of {scope.vc.spec.quota[resource]}"
                for resource in extra
            )
            return Done(
                f"Over the quota: {words}. What runs stays; nothing new starts until it fits",
                reason="OverQuota",
            )
        if seen.unknown:
            return Done(
                f"No node of the host has {', '.join(seen.unknown)}, so what asks for it waits for ever; "
                f"devices there: {', '.join(seen.devices) or 'none'}",
                reason="DeviceUnknown",
            )
        return Done("Ledger, host and queue say the same")

    def facts(self, scope: Scope, seen: Seen) -> dict[str, Any]:
        limits = {r: a for r, a in scope.vc.spec.quota.items() if r != COUNTED}
        return {"used": seen.used, "free": free_of(limits, seen.used)}


async def _copied(scope: Scope, kind: Kind) -> list[Object]:
    """What vcluster has copied to the host, the platform's own pods inside as well."""
    return await scope.host.items(kind, scope.namespace, {_COPIED_BY: scope.vc.name})


def _held(
    copied: list[Object], share: Amounts, amounts: Callable[[list[Object]], dict[str, str]]
) -> dict[str, str]:
    """What copies hold of the quota. The platform has a share of its own for its namespaces inside. An
    owner may have pods there, too: what passes the share counts, as the host's ResourceQuota counts it.
    """
    by_owner: dict[bool, list[Object]] = {True: [], False: []}
    for item in copied:
        system = item["metadata"]["labels"].get(_COPIED_FROM) in SYSTEM_NAMESPACES
        by_owner[system].append(item)
    found = amounts(by_owner[True])
    limits = {resource: share.get(resource, "0") for resource in found}
    return add_quantities(amounts(by_owner[False]), over(limits, found))


async def _devices(scope: Scope) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Devices of the quota that no node has, and those that there are. kubectl does not ask the API."""
    quota = scope.vc.spec.quota
    named = {name for name, text in quota.items() if is_extended(name) and parse_quantity(text)}
    sizes = [size_of(node) for node in await scope.host.items(NODE)] if named else []
    there = {name for size in sizes for name in size if is_extended(name)}
    known = all(sizes)  # a node whose kubelet has not spoken yet may have anything
    unknown = named - there if sizes and known else set()
    return tuple(sorted(unknown)), tuple(sorted(there))


def _storage(claims: list[Object]) -> dict[str, str]:
    asked = [{"storage": str(c["spec"]["resources"]["requests"]["storage"])} for c in claims]
    return add_quantities({"storage": "0"}, *asked)


async def _ray_clusters(scope: Scope) -> int:
    try:
        return len(await scope.ray_clusters() or ())
    except NotFoundError:
        return 0  # there is no way inside yet
