"""A team's quota: read, preview, set, history, revert."""

from collections.abc import Callable
from dataclasses import replace

from atoll.application.callers import Caller, may_see
from atoll.application.idempotency import find_earlier, idempotency, one_at_a_time
from atoll.application.pages import PageAsk, piece_by
from atoll.application.quota_changes import (
    QuotaChanges,
    changes_quota,
    preview_read,
    with_quota,
)
from atoll.application.quota_history import Authorship, QuotaHistory, author
from atoll.application.revisions import Expected, check_revision
from atoll.application.validation import can_exist, invalid, stored
from atoll.cluster import kinds
from atoll.cluster.client import Cluster, Object
from atoll.cluster.quota_trees import read_tree
from atoll.contract.base import Page
from atoll.contract.quotas import (
    QuotaDifference,
    QuotaPreview,
    QuotaRead,
    QuotaRevert,
    QuotaRevisionRead,
    QuotaUse,
    QuotaWrite,
)
from atoll.domain.quota_tree import QuotaTree
from atoll.domain.quotas import amount_text
from atoll.errors import FieldProblem, NotFoundError, StaleWriteError
from atoll.resources.meta import revision_of
from atoll.resources.quota_revisions import QuotaRevision
from atoll.resources.teams import QuotaLine, Team

_TRIES = 8
Wanted = Callable[[Object], Object]


class Quotas:
    """Use cases of one team's quota. Every method raises errors of `atoll.errors`."""

    def __init__(self, cluster: Cluster, changes: QuotaChanges, history: QuotaHistory) -> None:
        self._cluster = cluster
        self._changes = changes
        self._history = history

    async def get(self, caller: Caller, team: str) -> QuotaRead:
        """The quota, what is reserved of it, and what is free on the whole way to the root."""
        return await self._read(await self._find(caller, team))

    async def preview(self, caller: Caller, team: str, wanted: QuotaWrite) -> QuotaPreview:
        """What this quota would do to whom. InvalidError when it may not be at all."""
        found = await self._find(caller, team)
        after = with_quota(found, wanted.quota)
        world = await self._changes.check(found, after)
        return preview_read(
            await self._changes.preview(after, world), revision=revision_of(found["metadata"])
        )

    async def put(
        self,
        caller: Caller,
        team: str,
        wanted: QuotaWrite,
        *,
        expected: Expected,
        confirm: str | None = None,
        dry_run: bool = False,
    ) -> QuotaRead:
        """The whole quota anew. ConfirmationNeededError carries the preview that `confirm` must name.

        PreconditionError when `expected` is not the stored revision; nothing running is stopped.
        """
        who = author(caller, "changed", wanted.note)
        return await self._write(
            caller, team, lambda found: with_quota(found, wanted.quota), who, expected,
            confirm=confirm, dry_run=dry_run,
        )  # fmt: skip

    async def revert(
        self,
        caller: Caller,
        team: str,
        wanted: QuotaRevert,
        *,
        expected: Expected,
        confirm: str | None = None,
        key: str | None = None,
        dry_run: bool = False,
    ) -> QuotaRead:
        """The quota as it was at `number`; the parent stays. As `put` in everything else."""
        found = await self._find(caller, team)
        route = f"POST /v1/teams/{team}/quota:revert"
        use = idempotency(caller, route, key, wanted)
        async with one_at_a_time(use):
            if await find_earlier(self._cluster, kinds.QUOTA_REVISION, use):
                return await self._read(await self._find(caller, team))
            then = await self._revision(found, wanted.number)
            who = author(caller, "reverted", wanted.note).with_key(use)
            return await self._write(
                caller, team, lambda now: with_quota(now, then.spec.quota),
                replace(who, reverted_to=wanted.number), expected,
                confirm=confirm, dry_run=dry_run,
            )  # fmt: skip

    async def history(
        self, caller: Caller, team: str, ask: PageAsk | None = None
    ) -> Page[QuotaRevisionRead]:
        """A piece of the history, the newest first."""
        told = await self._told(await self._find(caller, team))
        return piece_by(told, ask or PageAsk(), lambda r: f"{10**12 - r.number:012d}")

    async def revision(self, caller: Caller, team: str, number: int) -> QuotaRevisionRead:
        """One state of the history. NotFoundError when it has no such number."""
        for revision in await self._told(await self._find(caller, team)):
            if revision.number == number:
                return revision
        raise NotFoundError(f"The quota history of {team!r} has no number {number}")

    async def _told(self, team: Object) -> list[QuotaRevisionRead]:
        await self._changes.record(team)
        known = await self._history.of(team)
        return [
            _revision_read(revision, known[at - 1] if at else None)
            for at, revision in enumerate(known)
        ]

    async def _write(
        self,
        caller: Caller,
        team: str,
        wanted: Wanted,
        who: Authorship,
        expected: Expected,
        *,
        confirm: str | None,
        dry_run: bool,
    ) -> QuotaRead:
        for _ in range(_TRIES):
            # Before a change is noted on the root: what cannot be seen or is stale writes nothing.
            check_revision(await self._find(caller, team), expected, f"The quota of {team!r}")
            try:
                async with self._changes.alone(team, dry_run=dry_run):
                    made = await self._write_once(
                        caller, team, wanted, who, expected, confirm=confirm, dry_run=dry_run
                    )
                return await self._read(made)
            except StaleWriteError:  # a reservation, or somebody else's change; the revision tells
                continue
        raise StaleWriteError(
            f"The quota of {team!r} changes too often just now; try again in a moment"
        )

    async def _write_once(
        self,
        caller: Caller,
        team: str,
        wanted: Wanted,
        who: Authorship,
        expected: Expected,
        *,
        confirm: str | None,
        dry_run: bool,
    ) -> Object:
        """The team as it is then, or would be. StaleWriteError when somebody wrote first."""
        found = await self._find(caller, team)
        check_revision(found, expected, f"The quota of {team!r}")
        after = wanted(found)
        world = await self._changes.check(found, after)
        if not dry_run:
            await self._changes.confirm(after, world, confirm)
        if dry_run or not changes_quota(found, after):
            return after
        return await self._changes.write(after, who)

    async def _revision(self, team: Object, number: int) -> QuotaRevision:
        await self._changes.record(team)
        for revision in await self._history.of(team):
            if revision.spec.number == number:
                return revision
        raise invalid(
            [
                FieldProblem(
                    "/number", f"the history has no number {number}; see GET …/quota/history"
                )
            ]
        )

    async def _read(self, team: Object) -> QuotaRead:
        found = stored(Team, team)
        tree = await read_tree(self._cluster)
        return QuotaRead(
            team=found.name,
            revision=revision_of(team["metadata"]),
            parent=found.spec.parent,
            quota=found.spec.quota,
            use=quota_use(tree, found),
        )

    async def _find(self, caller: Caller, name: str) -> Object:
        seen = can_exist(name) and may_see(caller, name)
        found = await self._cluster.find(kinds.TEAM, name) if seen else None
        if found is None:
            raise NotFoundError(f"There is no team {name!r}, or you may not see it")
        return found


def quota_use(tree: QuotaTree, team: Team) -> list[QuotaUse]:
    """Each resource that the team or an ancestor limits, with what is free of it at the tightest."""
    found = []
    for resource, room in sorted(tree.room(team.name).items()):
        line = team.spec.quota.get(resource)
        found.append(
            QuotaUse(
                resource=resource,
                limit=line.limit if line else None,
                guaranteed=line.guaranteed if line else None,
                reserved=team.status.reserved.get(resource, "0"),
                used=team.status.used.get(resource, "0" if line and team.status.free else None),
                free=amount_text(resource, room.free),
                bound_by=room.bound_by,
            )
        )
    return found


def _revision_read(revision: QuotaRevision, before: QuotaRevision | None) -> QuotaRevisionRead:
    old = before.spec.quota if before else {}
    new = revision.spec.quota
    told = revision.spec.model_dump(exclude={"team_uid"})
    return QuotaRevisionRead(
        **told | {"quota": new},
        parent_before=before.spec.parent if before else None,
        changes=[
            QuotaDifference(resource=name, before=old.get(name), after=new.get(name))
            for name in sorted({*old, *new})
            if _line(old.get(name)) != _line(new.get(name))
        ],
    )


def _line(line: QuotaLine | None) -> tuple[str, str | None] | None:
    return (line.limit, line.guaranteed) if line else None
