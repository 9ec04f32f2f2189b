"""Admission inside: Ray workloads are gang-scheduled and fault tolerant, whoever makes them."""

from dataclasses import dataclass

from atoll.cluster.client import Cluster, Object
from atoll.cluster.drift import says
from atoll.cluster.kinds import (
    MUTATING_BINDING,
    MUTATING_BINDING_BETA,
    MUTATING_POLICY,
    MUTATING_POLICY_BETA,
    PRIORITY_CLASS,
    VALIDATING_BINDING,
    VALIDATING_POLICY,
    Kind,
    kind_of,
)
from atoll.domain.names import LABEL_MANAGED, LABEL_STEP, host_queue, queue_name
from atoll.errors import NotFoundError
from atoll_worker.reconcile.gcs_policies import gcs_policy_manifests
from atoll_worker.reconcile.outcome import Change, Done, Failed, Outcome, Put, Remove, Wait
from atoll_worker.reconcile.policies.counts import (
    RayCount,
    count_changes,
    limit_ray_clusters,
    ray_count,
    warn_of_waiting_upgrades,
)
from atoll_worker.reconcile.policies.everything import policy_manifests
from atoll_worker.reconcile.policies.manifests import Enforced, policy_objects
from atoll_worker.reconcile.policies.store_authority import mutate_store_authority
from atoll_worker.reconcile.schedulers import adapter_of
from atoll_worker.reconcile.schedulers.policies import gang_policies, queue_rule
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step

_ALWAYS = (VALIDATING_POLICY, VALIDATING_BINDING, PRIORITY_CLASS)
_MUTATING = ((MUTATING_POLICY, MUTATING_BINDING), (MUTATING_POLICY_BETA, MUTATING_BINDING_BETA))
Key = tuple[Kind, str]


@dataclass(frozen=True)
class Seen:
    """The version in which mutating policies are served (None: not at all), what of ours is there, and the
    Ray clusters of all namespaces.
    """

    mutating: str | None
    found: dict[Key, Object]
    ray_clusters: tuple[Object, ...] = ()


class Policies(Step):
    """No webhook: the API server itself enforces, so nothing can be down.

    A tenant's owner is an administrator inside and can take a policy away. The next look puts it back;
    until then the host's quota and policies hold.
    """

    name, title, condition = "policies", "Enforce by admission", "PoliciesReady"
    needs = ("AccessReady",)

    async def observe(self, scope: Scope) -> Seen:
        inside = await scope.inside()
        ours = {LABEL_MANAGED: "atoll", LABEL_STEP: self.name}
        mutating, found = await _mutating(inside, ours)
        for kind in _ALWAYS:
            found |= _by_key(kind, await inside.items(kind, labels=ours))
        return Seen(mutating, found, await scope.ray_clusters() or ())

    def _wanted(self, scope: Scope, seen: Seen) -> list[Object]:
        spec, facts = scope.vc.spec, adapter_of(scope.versions).facts
        queue, labels = queue_name(spec.team), scope.labels(self.name)
        pods = host_queue(scope.vc.name) if spec.mode == "shared" else ""
        enforced = Enforced(
            queue, scope.vc.name, queue_rule(facts, queue), spec.quota, facts, seen.mutating, pods
        )
        gang = gang_policies(facts, queue, labels, mutate=seen.mutating is not None)
        redis = scope.versions.spec.redis
        gcs = gcs_policy_manifests(
            labels, mutate=seen.mutating is not None, address=redis.ray_address
        )
        if seen.mutating and redis.external and redis.external.tls:
            gcs += policy_objects(mutate_store_authority(), labels, seen.mutating)
        made = [_served_as(m, seen.mutating) for m in (*gang, *gcs)]
        counted = self._count(scope, seen)
        for limit in (limit_ray_clusters, warn_of_waiting_upgrades):
            policy = limit(scope.vc.name, counted) if counted else None
            made += policy_objects(policy, labels) if policy else []
        return policy_manifests(enforced, labels) + made

    def _count(self, scope: Scope, seen: Seen) -> RayCount | None:
        of_spec = {cluster.name for cluster in scope.vc.spec.ray_clusters}
        return ray_count(scope.vc.spec.quota, seen.ray_clusters, of_spec)

    def plan(self, scope: Scope, seen: Seen) -> list[Change]:
        wanted = {(kind_of(m), m["metadata"]["name"]): m for m in self._wanted(scope, seen)}
        changes: list[Change] = [
            Remove(kind, name, inside=True)
            for kind, name in seen.found
            if (kind, name) not in wanted
        ]
        changes += [
            Put(manifest, inside=True)
            for key, manifest in wanted.items()
            if not says(seen.found.get(key), manifest)
        ]
        return changes + count_changes(self._count(scope, seen), seen.ray_clusters)

    def judge(self, scope: Scope, seen: Seen) -> Outcome:
        external = scope.external
        if external and external.tls and not seen.mutating:
            return Failed(
                "RedisTlsNotServed",
                f"Redis at {external.address} speaks TLS, and this virtual cluster cannot hand its "
                f"authority to Ray heads: that needs Kubernetes 1.34 or newer.",
                permanent=True,
                who="admin",
            )
        if self.plan(scope, seen):
            return Wait("Writing", "Admission policies are being written")
        how = "put right or refused" if seen.mutating else "refused unless it says so"
        return Done(f"Every Ray workload is a gang in the team's queue: {how} at admission")


def _served_as(manifest: Object, version: str | None) -> Object:
    """A mutating kind in the version that is served; others as they are."""
    if not manifest["kind"].startswith("Mutating"):
        return manifest
    group = manifest["apiVersion"].partition("/")[0]
    return {**manifest, "apiVersion": f"{group}/{version}"}


async def _mutating(inside: Cluster, ours: dict[str, str]) -> tuple[str | None, dict[Key, Object]]:
    """The newest served version, and what is there of it."""
    for kinds in _MUTATING:
        try:
            found: dict[Key, Object] = {}
            for kind in kinds:
                found |= _by_key(kind, await inside.items(kind, labels=ours))
        except NotFoundError:
            continue
        return kinds[0].version, found
    return None, {}


def _by_key(kind: Kind, items: list[Object]) -> dict[Key, Object]:
    return {(kind, item["metadata"]["name"]): item for item in items}
