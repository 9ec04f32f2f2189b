"""Dedicated mode: the host nodes that the virtual cluster owns carry its label.

A node that is given back is cordoned first, its pods are asked to leave, and only an empty one loses the
label. The cordon is ours to lift when our annotation is on the node.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from atoll.cluster.client import Object
from atoll.cluster.kinds import NODE, POD
from atoll.domain.names import ANNOTATION_DRAINING, LABEL_SHARED_NODE, LABEL_VIRTUAL_CLUSTER
from atoll.domain.nodes import Allocation, HostNode, allocate
from atoll_worker.reconcile.draining import Staying, in_words, overdue, staying, too_long
from atoll_worker.reconcile.outcome import Change, Done, Evict, Expel, Failed, Outcome, Patch, Wait
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step


@dataclass(frozen=True)
class Seen:
    """The host's nodes, as they are and as objects by name; the pods on each; when that was."""

    nodes: tuple[HostNode, ...]
    objects: dict[str, Object]
    pods: dict[str, tuple[Staying, ...]]
    at: datetime

    def cordoned(self, node: str) -> bool:
        """Whether nothing new may be placed on it."""
        return bool(self.objects[node].get("spec", {}).get("unschedulable", False))

    def draining_since(self, node: str) -> str | None:
        """When we cordoned it; None when we did not."""
        return _draining_since(self.objects[node])

    def pods_on(self, node: str) -> tuple[Staying, ...]:
        """The pods that must leave it."""
        return self.pods.get(node, ())


class Nodes(Step):
    """Takes all that is asked for or nothing; gives back what is empty."""

    name, title, condition = "nodes", "Take the nodes", "NodesReady"
    needs = ("Admitted",)

    def applies(self, scope: Scope) -> bool:
        return scope.vc.spec.mode == "dedicated"

    async def observe(self, scope: Scope) -> Seen:
        return await self._look(scope)

    async def _look(self, scope: Scope, *, all_owned: bool = False) -> Seen:
        """The nodes that have a template, and (`all_owned`) those of ours that lost it."""
        found = await scope.host.items(NODE)
        objects = {item["metadata"]["name"]: item for item in found}
        owned = any(_owner(item) == scope.vc.name for item in found)
        pods = staying(await scope.host.items(POD, scope.namespace)) if owned else {}
        label = scope.settings.node_label
        nodes = tuple(
            _node(item, label, pods)
            for item in found
            if label in _labels(item) or (all_owned and _owner(item) == scope.vc.name)
        )
        return Seen(nodes, objects, pods, datetime.now(UTC))

    def _allocation(self, scope: Scope, seen: Seen) -> Allocation:
        return allocate(seen.nodes, scope.vc.name, scope.vc.spec.replica_sets)

    def plan(self, scope: Scope, seen: Seen) -> list[Change]:
        allocation = self._allocation(scope, seen)
        changes = [self._take(n, scope, seen) for n in allocation.take]
        changes += [self._uncordon(n, seen) for n in allocation.keep if seen.draining_since(n)]
        for node in allocation.release:
            changes += self._release(node, scope, seen)
        return changes

    def _take(self, node: str, scope: Scope, seen: Seen) -> Change:
        labels: dict[str, str | None] = {LABEL_VIRTUAL_CLUSTER: scope.vc.name}
        if _labels(seen.objects[node]).get(LABEL_SHARED_NODE) == "true":
            # When it is given back, the next look at a shared virtual cluster marks it again.
            labels[LABEL_SHARED_NODE] = None
        return _patch(node, seen, {"labels": labels})

    def _uncordon(self, node: str, seen: Seen) -> Change:
        return _patch(node, seen, {"annotations": {ANNOTATION_DRAINING: None}}, cordon=None)

    def _release(self, node: str, scope: Scope, seen: Seen) -> list[Change]:
        """Cordon; then evict, past the deadline delete; a node seen cordoned and empty is let go."""
        staying_on = [p for p in seen.pods_on(node) if not p.going]
        leaving: list[Change] = [Evict(p.name, scope.namespace) for p in staying_on]
        if seen.cordoned(node) and self._overdue(node, scope, seen):
            leaving = [Expel(p.name, scope.namespace, p.revision) for p in staying_on]
        if not seen.cordoned(node):
            since = seen.at.isoformat(timespec="seconds")
            mark = {"annotations": {ANNOTATION_DRAINING: since}}
            return [_patch(node, seen, mark, cordon=True), *leaving]
        return [*leaving] if seen.pods_on(node) else [self._let_go(node, seen)]

    def _overdue(self, node: str, scope: Scope, seen: Seen) -> bool:
        deadline = scope.vc.spec.drain_deadline_seconds
        return overdue(seen.draining_since(node), seen.at, deadline)

    def _let_go(self, node: str, seen: Seen) -> Change:
        meta: dict[str, Any] = {"labels": {LABEL_VIRTUAL_CLUSTER: None}}
        if seen.draining_since(node) is None:
            return _patch(node, seen, meta)
        return _patch(node, seen, meta | {"annotations": {ANNOTATION_DRAINING: None}}, cordon=None)

    def judge(self, scope: Scope, seen: Seen) -> Outcome:
        allocation = self._allocation(scope, seen)
        if not any(scope.vc.spec.replica_sets.values()):
            return Failed(
                "NoNodesAskedFor",
                "A dedicated virtual cluster runs on its own nodes. Name some in spec.replicaSets.",
                permanent=True,
                who="team owner",
            )
        if allocation.missing:
            words = ", ".join(
                f"{count} more of {template} (free: {allocation.available[template]})"
                for template, count in allocation.missing.items()
            )
            return Wait("NotEnoughNodes", f"Missing {words}; an admin can add nodes or free some")
        if allocation.release:
            return self._draining(allocation.release, scope, seen)
        if allocation.take or any(seen.draining_since(n) for n in allocation.keep):
            return Wait("Labelling", "Node labels are not as asked yet")
        return Done(", ".join(allocation.keep))

    def _draining(self, release: tuple[str, ...], scope: Scope, seen: Seen) -> Outcome:
        words = in_words([(node, seen.pods_on(node)) for node in release])
        since = [begun for node in release if (begun := seen.draining_since(node))]
        deleted = [n for n in release if seen.pods_on(n) and self._overdue(n, scope, seen)]
        if deleted and not too_long(since, seen.at):
            return Wait("DrainingNodes", f"The deadline is over, and pods are deleted ({words})")
        if any(seen.pods_on(node) for node in release) and too_long(since, seen.at):
            return Failed(
                "NodesNotDrained",
                f"Pods have not left the nodes to be released ({words}). A PodDisruptionBudget may hold "
                "them: loosen it, delete them, or ask for the nodes again in spec.replicaSets. An admin can "
                "have them deleted all the same, after spec.drainDeadlineSeconds.",
                permanent=True,
                who="team owner",
            )
        return Wait("DrainingNodes", f"Pods are asked to leave the nodes to be released ({words})")

    def facts(self, scope: Scope, seen: Seen) -> dict[str, Any]:
        return {"nodes": [n.name for n in seen.nodes if n.owner == scope.vc.name]}

    async def remains(self, scope: Scope) -> Seen:
        return await self._look(scope, all_owned=True)

    def remove_plan(self, scope: Scope, left: Seen) -> list[Change]:
        """Nothing runs on them any more: the namespace is gone."""
        return [self._let_go(n.name, left) for n in left.nodes if n.owner == scope.vc.name]

    def removed(self, scope: Scope, left: Seen) -> Outcome:
        owned = [n.name for n in left.nodes if n.owner == scope.vc.name]
        return Wait("Unlabelling", ", ".join(owned)) if owned else Done("No node carries its label")


_UNCHANGED = object()


def _patch(node: str, seen: Seen, meta: dict[str, Any], cordon: object = _UNCHANGED) -> Change:
    """Compare and set, so that two virtual clusters cannot take one node."""
    revision = seen.objects[node]["metadata"]["resourceVersion"]
    change: dict[str, Any] = {"metadata": meta | {"resourceVersion": revision}}
    if cordon is not _UNCHANGED:
        change["spec"] = {"unschedulable": cordon}
    return Patch(NODE, node, change)


def _labels(item: Object) -> dict[str, str]:
    found: dict[str, str] = item["metadata"].get("labels") or {}
    return found


def _owner(item: Object) -> str | None:
    return _labels(item).get(LABEL_VIRTUAL_CLUSTER)


def _draining_since(item: Object) -> str | None:
    found: str | None = (item["metadata"].get("annotations") or {}).get(ANNOTATION_DRAINING)
    return found


def _node(item: Object, label: str, pods: dict[str, tuple[Staying, ...]]) -> HostNode:
    name = item["metadata"]["name"]
    conditions = item.get("status", {}).get("conditions", [])
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    usable = ready and not item.get("spec", {}).get("unschedulable", False)
    leaving = _draining_since(item) is not None
    return HostNode(
        name, _labels(item).get(label, ""), _owner(item), usable, len(pods.get(name, ())), leaving
    )
