"""Admission inside: Ray workloads are gang-scheduled in the team's queue, whoever makes them."""

from atoll.cluster.client import Object
from atoll.cluster.drift import says
from atoll.cluster.kinds import kind_of
from atoll.domain.names import queue_name
from atoll_worker.reconcile.inside import policy_manifests
from atoll_worker.reconcile.outcome import Change, Done, Outcome, Put, Wait
from atoll_worker.reconcile.schedulers import adapter_of
from atoll_worker.reconcile.schedulers.policies import gang_policies, queue_rule
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step

MUTATING_SINCE = (1, 36)
"""First Kubernetes that serves MutatingAdmissionPolicy as v1."""


class Policies(Step):
    """No webhook: the API server itself enforces, so nothing can be down."""

    name, title, condition = "policies", "Enforce by admission", "PoliciesReady"
    needs = ("AccessReady",)

    def _manifests(self, scope: Scope) -> list[Object]:
        major, minor = scope.versions.spec.kubernetes.version.split(".")[:2]
        mutate = (int(major), int(minor)) >= MUTATING_SINCE
        facts, labels = adapter_of(scope.versions).facts, scope.labels(self.name)
        queue = queue_name(scope.vc.spec.team)
        return [
            *policy_manifests(queue_rule(facts, queue), labels, mutate=mutate),
            *gang_policies(facts, queue, labels, mutate=mutate),
        ]

    async def observe(self, scope: Scope) -> list[Object]:
        inside = await scope.inside()
        missing = []
        for manifest in self._manifests(scope):
            found = await inside.find(kind_of(manifest), manifest["metadata"]["name"])
            if not says(found, manifest):
                missing.append(manifest)
        return missing

    def plan(self, scope: Scope, seen: list[Object]) -> list[Change]:
        return [Put(manifest, inside=True) for manifest in seen]

    def judge(self, scope: Scope, seen: list[Object]) -> Outcome:
        if seen:
            return Wait("Writing", "Admission policies are being written")
        return Done("Every Ray workload must be in the team's queue")
