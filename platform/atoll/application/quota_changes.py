"""The one way to a team's quota: the rules, what it does to whom, the write, the history."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass

import structlog

from atoll.application.confirmations import refuse_unconfirmed
from atoll.application.nodes import read_extended_resources
from atoll.application.quota_history import Authorship, QuotaHistory, quota_of
from atoll.application.validation import StoredInvalidError, refuse_if_any, stored
from atoll.cluster import kinds
from atoll.cluster.client import Cluster, Object
from atoll.cluster.quota_trees import entries_of, limits_of, share_of, tree_of
from atoll.cluster.tree_changes import alone
from atoll.contract.quotas import QuotaHolder, QuotaLineChange, QuotaPreview
from atoll.domain import quota_previews
from atoll.domain.lowering import describe_over
from atoll.domain.quantities import parse_quantity
from atoll.domain.quota_previews import Holder
from atoll.domain.quota_rules import pointer, tree_problems
from atoll.domain.quota_tree import QuotaTree, Share
from atoll.domain.quotas import demand, resource_problem
from atoll.errors import AtollError, FieldProblem
from atoll.resources.meta import revision_of
from atoll.resources.teams import QuotaLine
from atoll.resources.virtual_clusters import VirtualCluster

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class World:
    """Every team as it was read at one moment."""

    teams: Mapping[str, Object]
    tree: QuotaTree

    def after(self, wanted: Object) -> QuotaTree:
        """The tree with this team in it as it is wanted."""
        return self.tree.with_share(share_of(wanted))


class QuotaChanges:
    """Checks and writes the spec of teams whose quota or parent changes."""

    def __init__(self, cluster: Cluster, history: QuotaHistory) -> None:
        self._cluster = cluster
        self._history = history

    def alone(self, *teams: str | None, dry_run: bool = False) -> AbstractAsyncContextManager[None]:
        """What is checked and written inside, nobody else's change of a quota comes between, in the trees
        of these teams. Read inside: it writes to the root, which may be the team itself.
        """
        return nullcontext() if dry_run else alone(self._cluster, *teams)

    async def read_world(self) -> World:
        """All teams, and the tree they make."""
        teams = {t["metadata"]["name"]: t for t in await self._cluster.items(kinds.TEAM)}
        return World(teams, tree_of(teams.values()))

    async def check(self, before: Object | None, wanted: Object) -> World:
        """Raise InvalidError that names every line that breaks a rule, or a node does not know."""
        world = await self.read_world()
        name = wanted["metadata"]["name"]
        old, new = quota_of(before or {}), quota_of(wanted)
        problems = [
            FieldProblem(pointer(r), text) for r in new if (text := resource_problem(r)) is not None
        ]
        limits = limits_of(wanted)
        named = {r for r in new if r not in old and parse_quantity(limits[r])}
        problems += await self.unknown_resources(named)
        refuse_if_any([*problems, *tree_problems(world.after(wanted), name)])
        return world

    async def unknown_resources(self, named: set[str]) -> list[FieldProblem]:
        """Extended resources that no node of the host has, with those that are there."""
        extended = {name for name in named if "/" in name}
        known = await read_extended_resources(self._cluster) if extended else frozenset()
        if known is None:
            return []
        there = ", ".join(sorted(known)) or "none"
        return [
            FieldProblem(
                pointer(name),
                f"no node of the host has {name!r}; extended resources there: {there}. Name one of those, or "
                "add nodes that have it; a limit of 0 may name any",
            )
            for name in sorted(extended - known)
        ]

    async def preview(self, wanted: Object, world: World | None = None) -> quota_previews.Preview:
        """What the wanted team would do, in place of the stored one."""
        world = world or await self.read_world()
        share = share_of(wanted)
        holders = await self._holders(world.after(wanted), share)
        ledgers = {name: entries_of(team) for name, team in world.teams.items()}
        return quota_previews.preview(
            world.tree, share, ledgers, holders, wanted["metadata"].get("uid", "")
        )

    async def _holders(self, tree: QuotaTree, share: Share) -> list[Holder]:
        below = {share.name, *(s.name for s in tree.below(share.name))}
        found = []
        for item in await self._cluster.items(kinds.VIRTUAL_CLUSTER):
            try:
                vc = stored(VirtualCluster, item)
            except StoredInvalidError:
                continue  # the worker says what is wrong with it
            if vc.spec.team in below:
                found.append(_holder(vc))
        return found

    async def confirm(self, wanted: Object, world: World, given: str | None) -> None:
        """Raise ConfirmationNeededError when more would be over than is now, unless it was confirmed."""
        outcome = await self.preview(wanted, world)
        refuse_unconfirmed(
            preview_read(outcome, revision=revision_of(wanted["metadata"])), given,
            over=f"team {outcome.team!r} is reserved than the new limits allow: "
            f"{describe_over(outcome.lines, 'reserved')}",
            instead="delete virtual clusters",
        )  # fmt: skip

    async def write(self, wanted: Object, author: Authorship) -> Object:
        """Compare and set, then history. StaleWriteError when somebody wrote first."""
        author.mark(wanted)
        made = await self._cluster.replace(wanted)
        await self.record(made)
        return made

    async def record(self, team: Object) -> None:
        """The history of what was written just now; when that fails, the keeper does it later."""
        try:
            await self._history.record(team)
        except AtollError as error:
            log.warning("quota.unrecorded", team=team["metadata"]["name"], error=error.detail)


def changes_quota(before: Object, wanted: Object) -> bool:
    """Whether the quota or the parent differs."""
    old, new = before.get("spec") or {}, wanted.get("spec") or {}
    return quota_of(before) != quota_of(wanted) or old.get("parent") != new.get("parent")


def with_quota(team: Object, quota: Mapping[str, QuotaLine]) -> Object:
    """The team as read with another quota, ready to be written."""
    lines = {resource: line.dump() for resource, line in quota.items()}
    spec = {**(team.get("spec") or {}), "quota": lines}
    return {**team, "metadata": dict(team["metadata"]), "spec": spec}


def _holder(vc: VirtualCluster) -> Holder:
    admitted = vc.condition("Admitted")
    return Holder(
        vc.name,
        vc.spec.team,
        vc.metadata.creation_timestamp or "",
        demand(vc.spec.quota),
        tuple(c.name for c in vc.spec.ray_clusters),
        waiting=admitted.status == "False" and admitted.reason == "QuotaExceeded",
    )


def preview_read(outcome: quota_previews.Preview, *, revision: str) -> QuotaPreview:
    """A preview on the wire."""
    return QuotaPreview(
        team=outcome.team,
        revision=revision,
        lines=[
            QuotaLineChange(
                resource=c.resource,
                limit_before=c.limit_before,
                limit_after=c.limit_after,
                guaranteed_before=c.guaranteed_before,
                guaranteed_after=c.guaranteed_after,
                reserved=c.taken,
                over=c.over,
            )
            for c in outcome.lines
        ],
        no_longer_fit=[_holder_read(h) for h in outcome.no_longer_fit],
        would_be_admitted=[_holder_read(h) for h in outcome.would_be_admitted],
        needs_confirmation=outcome.needs_confirmation,
        confirm=outcome.fingerprint,
    )


def _holder_read(holder: Holder) -> QuotaHolder:
    return QuotaHolder(
        virtual_cluster=holder.name,
        team=holder.team,
        demand=dict(holder.demand),
        ray_clusters=list(holder.ray_clusters),
    )
