"""Shared mode: the host nodes that nobody owns carry the label that shared pods are pinned to."""

from dataclasses import dataclass

from atoll.cluster.kinds import NODE, VIRTUAL_CLUSTER
from atoll.domain.names import LABEL_SHARED_NODE, LABEL_VIRTUAL_CLUSTER
from atoll_worker.reconcile.outcome import Change, Done, Failed, Outcome, Patch, Wait
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step


@dataclass(frozen=True)
class Seen:
    """Names of nodes with the label, and name -> resourceVersion of free ones that lack it."""

    shared: tuple[str, ...]
    bare: dict[str, str]


class SharedNodes(Step):
    """A node whose label says "false" is an admin's to keep out; a dedicated virtual cluster that takes
    a node takes the label off.
    """

    name, title, condition = "shared-nodes", "Mark the shared nodes", "NodesReady"
    needs = ("Admitted",)

    def applies(self, scope: Scope) -> bool:
        return scope.vc.spec.mode == "shared"

    async def observe(self, scope: Scope) -> Seen:
        shared, bare = [], {}
        for item in await scope.host.items(NODE):
            meta = item["metadata"]
            labels = meta.get("labels", {})
            if scope.settings.node_label not in labels or labels.get(LABEL_VIRTUAL_CLUSTER):
                continue
            if labels.get(LABEL_SHARED_NODE) == "true":
                shared.append(meta["name"])
            elif LABEL_SHARED_NODE not in labels:
                bare[meta["name"]] = meta["resourceVersion"]
        return Seen(tuple(sorted(shared)), bare)

    def plan(self, scope: Scope, seen: Seen) -> list[Change]:
        # By resourceVersion: a dedicated virtual cluster may be taking the node at this moment.
        return [_label(name, "true", revision) for name, revision in seen.bare.items()]

    def judge(self, scope: Scope, seen: Seen) -> Outcome:
        if not seen.shared:
            return Failed(
                "NoSharedNodes",
                f"Every node with the label {scope.settings.node_label} is owned by a dedicated virtual "
                f"cluster or kept out by {LABEL_SHARED_NODE}=false. Add nodes, or free some.",
                permanent=True,
                who="admin",
            )
        if seen.bare:
            return Wait("Labelling", "Node labels are not as asked yet")
        return Done(f"Shared with others: {', '.join(seen.shared)}")

    async def remains(self, scope: Scope) -> dict[str, str]:
        """The labelled nodes when no shared virtual cluster is to stay; else none."""
        others = [
            vc
            for vc in await scope.host.items(VIRTUAL_CLUSTER)
            if vc["spec"].get("mode") == "shared" and not vc["metadata"].get("deletionTimestamp")
        ]
        if others:
            return {}
        found = await scope.host.items(NODE, labels={LABEL_SHARED_NODE: "true"})
        return {n["metadata"]["name"]: n["metadata"]["resourceVersion"] for n in found}

    def remove_plan(self, scope: Scope, left: dict[str, str]) -> list[Change]:
        return [_label(name, None, revision) for name, revision in left.items()]

    def removed(self, scope: Scope, left: dict[str, str]) -> Outcome:
        return (
            Wait("Unlabelling", ", ".join(left)) if left else Done("Shared nodes are as they were")
        )


def _label(node: str, value: str | None, revision: str) -> Change:
    meta = {"labels": {LABEL_SHARED_NODE: value}, "resourceVersion": revision}
    return Patch(NODE, node, {"metadata": meta})
