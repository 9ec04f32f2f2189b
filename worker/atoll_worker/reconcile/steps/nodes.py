"""Dedicated mode: the host nodes that the virtual cluster owns carry its label."""

from typing import Any

from atoll.cluster.kinds import NODE
from atoll.domain.names import LABEL_VIRTUAL_CLUSTER
from atoll.domain.nodes import Allocation, HostNode, allocate
from atoll_worker.reconcile.outcome import Change, Done, Failed, Outcome, Patch, Wait
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step

Seen = tuple[list[HostNode], dict[str, str]]
"""All nodes, and name -> resourceVersion, so that two virtual clusters cannot take one node."""


class Nodes(Step):
    """Takes all that is asked for or nothing."""

    name, title, condition = "nodes", "Take the nodes", "NodesReady"
    needs = ("Admitted",)

    async def observe(self, scope: Scope) -> Seen:
        found = await scope.host.items(NODE)
        nodes = []
        for item in found:
            labels = item["metadata"].get("labels", {})
            conditions = item.get("status", {}).get("conditions", [])
            ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
            usable = ready and not item.get("spec", {}).get("unschedulable", False)
            template = labels.get(scope.settings.node_label)
            if template:
                owner = labels.get(LABEL_VIRTUAL_CLUSTER)
                nodes.append(HostNode(item["metadata"]["name"], template, owner, usable))
        return nodes, {n["metadata"]["name"]: n["metadata"]["resourceVersion"] for n in found}

    def _allocation(self, scope: Scope, seen: Seen) -> Allocation:
        return allocate(seen[0], scope.vc.name, scope.vc.spec.replica_sets)

    def plan(self, scope: Scope, seen: Seen) -> list[Change]:
        allocation = self._allocation(scope, seen)
        taken = [self._label(n, scope.vc.name, seen) for n in allocation.take]
        return taken + [self._label(n, None, seen) for n in allocation.release]

    def _label(self, node: str, value: str | None, seen: Seen) -> Change:
        meta = {"labels": {LABEL_VIRTUAL_CLUSTER: value}, "resourceVersion": seen[1][node]}
        return Patch(NODE, node, {"metadata": meta})

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
        if allocation.take or allocation.release:
            return Wait("Labelling", "Node labels are not as asked yet")
        return Done(", ".join(allocation.keep))

    def facts(self, scope: Scope, seen: Seen) -> dict[str, Any]:
        return {"nodes": [n.name for n in seen[0] if n.owner == scope.vc.name]}

    async def remains(self, scope: Scope) -> Seen:
        return await self.observe(scope)

    def remove_plan(self, scope: Scope, left: Seen) -> list[Change]:
        owned = [n.name for n in left[0] if n.owner == scope.vc.name]
        return [self._label(name, None, left) for name in owned]

    def removed(self, scope: Scope, left: Seen) -> Outcome:
        owned = [n.name for n in left[0] if n.owner == scope.vc.name]
        return Wait("Unlabelling", ", ".join(owned)) if owned else Done("No node carries its label")
