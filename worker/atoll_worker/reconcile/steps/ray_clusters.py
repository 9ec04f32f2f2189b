"""The Ray clusters that the spec asks for; and, at the end, all Ray workloads gone before the rest."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from atoll.cluster.client import Cluster, InitializingError, Object
from atoll.cluster.drift import says
from atoll.cluster.kinds import NODE, POD, RAY_CLUSTER, RAY_JOB, RAY_SERVICE, Kind
from atoll.domain.names import (
    LABEL_FROM_SPEC,
    LABEL_SHARED_NODE,
    LABEL_VIRTUAL_CLUSTER,
    RAY_NAMESPACE,
)
from atoll.domain.node_sizes import may_run_on, misfit, size_of
from atoll.domain.nodes import HostNode
from atoll.domain.pull_failures import pull_failure
from atoll.domain.ray_clusters import pods_of, ray_cluster_manifest, ray_image
from atoll.errors import NotFoundError, UnavailableError
from atoll_worker.reconcile.outcome import Change, Done, Failed, Outcome, Put, Remove, Wait
from atoll_worker.reconcile.schedulers import adapter_of
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step

PATIENCE_SECONDS = 60.0
"""How long a virtual cluster may hold up its own deletion: by no answer, by finalizers, or by admission
of its owner's that refuses to let Ray workloads go.
"""


@dataclass(frozen=True)
class Seen:
    """Whether Ray clusters are served, those in the Ray namespace, and the gangs' own words."""

    served: bool
    clusters: dict[str, Object]
    gangs: dict[str, str]
    nodes: tuple[HostNode, ...] = ()
    """Those of the host, read while a Ray cluster waits."""
    unpulled: dict[str, str] = field(default_factory=dict)
    """By Ray cluster that waits: which image of its head cannot be pulled, in words; "" when none."""


class RayClusters(Step):
    """Sent as soon as the API serves them, so that they start with the operator, not after it."""

    name, title, condition = "ray-clusters", "Start the Ray clusters", "RayClustersReady"
    needs = ("NodesReady", "HostQueueReady", "QueueReady", "PoliciesReady")
    after = ("OperatorReady",)
    unserved = Wait("WaitingForOperator", "Ray clusters are not served yet")

    async def observe(self, scope: Scope) -> Seen:
        inside = await scope.inside()
        try:
            found = await inside.items(RAY_CLUSTER, RAY_NAMESPACE)
        except (NotFoundError, InitializingError):
            return Seen(False, {}, {})
        clusters = {c["metadata"]["name"]: c for c in found}
        wanted = [one.name for one in scope.vc.spec.ray_clusters]
        waiting = [name for name in wanted if _state(clusters.get(name)) != "ready"]
        if not waiting:
            return Seen(True, clusters, {})
        adapter = adapter_of(scope.versions)
        try:
            told = await inside.items(adapter.told_by, RAY_NAMESPACE)
        except (NotFoundError, InitializingError):
            told = []
        gangs = {name: adapter.explain(name, told) for name in waiting}
        unpulled = {name: await _unpulled(inside, name) for name in waiting if name in clusters}
        return Seen(True, clusters, gangs, await _nodes(scope), unpulled)

    def _manifests(self, scope: Scope) -> list[Object]:
        spec = scope.versions.spec
        image = ray_image(spec.ray.image, spec.ray.version, spec.registry)
        made = []
        for wanted in scope.vc.spec.ray_clusters:
            manifest = ray_cluster_manifest(
                wanted,
                team=scope.vc.spec.team,
                virtual_cluster=scope.vc.name,
                scheduler=spec.scheduler.name,
                ray_version=spec.ray.version,
                image=image,
                redis_address=spec.redis.ray_address,
            )
            manifest["metadata"]["labels"][LABEL_FROM_SPEC] = "true"
            made.append(manifest)
        return made

    def plan(self, scope: Scope, seen: Seen) -> list[Change]:
        if not seen.served:
            return []
        wanted = self._manifests(scope)
        names = {m["metadata"]["name"] for m in wanted}
        changes: list[Change] = [
            Put(m, inside=True, refusable=True)
            for m in wanted
            if not says(seen.clusters.get(m["metadata"]["name"]), m)
        ]
        for name, found in seen.clusters.items():
            ours = LABEL_FROM_SPEC in found["metadata"].get("labels", {})
            if ours and name not in names and not found["metadata"].get("deletionTimestamp"):
                changes.append(Remove(RAY_CLUSTER, name, RAY_NAMESPACE, inside=True))
        return changes

    def judge(self, scope: Scope, seen: Seen) -> Outcome:
        wanted = [r.name for r in scope.vc.spec.ray_clusters]
        if not seen.served:
            return self.unserved
        if refused := _refused(scope, wanted):
            return Failed("RayClusterRefused", refused, who="team owner", delay=5)
        waiting = [name for name in wanted if _state(seen.clusters.get(name)) != "ready"]
        if too_large := _too_large(scope, seen.nodes, waiting):
            return Failed("LargerThanAnyNode", too_large, permanent=True, who="team owner")
        if waiting:
            told = {
                name: seen.unpulled.get(name) or seen.gangs.get(name) or "pods are starting"
                for name in waiting
            }
            stuck = any(seen.unpulled.get(name) for name in waiting)
            words = "; ".join(f"{name}: {text}" for name, text in told.items())
            return Wait("ImageNotPulled" if stuck else "RayClustersStarting", words)
        return Done(f"{', '.join(wanted)} ready" if wanted else "None asked for")

    async def remains(self, scope: Scope) -> list[tuple[Kind, Object]] | None:
        """Every Ray workload, made by anybody; None when the virtual cluster does not answer."""
        try:
            inside = await scope.inside()
            left: list[tuple[Kind, Object]] = []
            for kind in (RAY_SERVICE, RAY_JOB, RAY_CLUSTER):
                left += [(kind, item) for item in await _served(inside.items(kind))]
            return left
        except NotFoundError:
            return []  # no kubeconfig: nothing of Ray was ever there
        except UnavailableError:
            return None

    def remove_plan(self, scope: Scope, left: list[tuple[Kind, Object]] | None) -> list[Change]:
        if _patience_is_over(scope):
            return []  # a refusal inside would end the pass before anything else is taken down
        return [
            Remove(kind, item["metadata"]["name"], item["metadata"]["namespace"], inside=True)
            for kind, item in left or []
            if not item["metadata"].get("deletionTimestamp")
        ]

    def removed(self, scope: Scope, left: list[tuple[Kind, Object]] | None) -> Outcome:
        over = _patience_is_over(scope)
        if left is None:
            if over:
                return Done(
                    "The virtual cluster does not answer; what is in it goes with its namespace"
                )
            return Wait("NotAnswering", "The virtual cluster does not answer; trying for a minute")
        if left and not over:
            names = ", ".join(item["metadata"]["name"] for _, item in left)
            return Wait("StoppingRay", f"Stopping {names}")
        return Done("No Ray workload is left" if not left else "They go with the namespace")


def _patience_is_over(scope: Scope) -> bool:
    since = datetime.fromisoformat(scope.vc.metadata.deletion_timestamp or "")
    return (datetime.now(UTC) - since).total_seconds() > PATIENCE_SECONDS


def _refused(scope: Scope, wanted: list[str]) -> str:
    """Which Ray clusters of the spec admission inside did not let in during this look, and its words."""
    told = [
        f"{name} ({words})"
        for name in wanted
        if (words := scope.refusals.get((RAY_CLUSTER.kind, RAY_NAMESPACE, name)))
    ]
    return f"Not let in: {'; '.join(told)}. All others are as asked" if told else ""


async def _unpulled(inside: Cluster, name: str) -> str:
    """The head's alone: its workers wait for it, and have the image of the same profile."""
    labels = {"ray.io/cluster": name, "ray.io/node-type": "head"}
    return pull_failure(await inside.items(POD, RAY_NAMESPACE, labels))


async def _nodes(scope: Scope) -> tuple[HostNode, ...]:
    label = scope.settings.node_label
    found = await scope.host.items(NODE)
    return tuple(_node(item["metadata"], size_of(item), label) for item in found)


def _node(meta: Object, size: dict[str, str], label: str) -> HostNode:
    labels = meta.get("labels") or {}
    out = label not in labels or labels.get(LABEL_SHARED_NODE) == "false"
    owner = labels.get(LABEL_VIRTUAL_CLUSTER)
    return HostNode(meta["name"], labels.get(label, ""), owner, size=size, kept_out=out)


def _too_large(scope: Scope, nodes: tuple[HostNode, ...], waiting: list[str]) -> str:
    """Ray clusters of the spec that wait and that no node can hold, in words."""
    spec = scope.vc.spec
    usable = may_run_on(nodes, scope.vc.name, spec.mode, spec.replica_sets)
    told = [
        f"{cluster.name}: {'the head' if kind == 'head' else 'each worker'} {problem.text}"
        for cluster in spec.ray_clusters
        if cluster.name in waiting
        for kind, asked in pods_of(cluster).items()
        if (problem := misfit(asked, usable))
    ]
    return f"{'; '.join(told)}. Make them smaller, or ask for larger nodes" if told else ""


async def _served(listing: object) -> list[Object]:
    try:
        return await listing  # type: ignore[misc,no-any-return]
    except NotFoundError:
        return []


def _state(cluster: Object | None) -> str:
    """`ready` only when the newest generation is: KubeRay keeps old states while it works."""
    status = (cluster or {}).get("status") or {}
    if cluster and status.get("observedGeneration", 0) < cluster["metadata"].get("generation", 0):
        return "pending"
    return str(status.get("state") or "pending")
