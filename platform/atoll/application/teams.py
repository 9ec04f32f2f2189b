"""Teams: create, read, change, delete."""

from collections.abc import Mapping, Sequence
from typing import Any

from atoll.application.callers import Caller, may_see
from atoll.application.idempotency import find_earlier, idempotency, one_at_a_time
from atoll.application.pages import PageAsk, piece
from atoll.application.quota_changes import QuotaChanges, changes_quota
from atoll.application.quota_history import author
from atoll.application.reads import team_read
from atoll.application.revisions import Expected, check_revision
from atoll.application.validation import (
    StoredInvalidError,
    can_exist,
    merge_patch,
    parse,
    refuse_if_any,
    spec_patch,
    stored,
)
from atoll.cluster import kinds
from atoll.cluster.client import Cluster, Object
from atoll.cluster.quota_trees import entries_of
from atoll.contract.base import Page
from atoll.contract.teams import TeamCreate, TeamRead
from atoll.domain.names import name_problem
from atoll.domain.quotas import owner_of
from atoll.errors import ConflictError, FieldProblem, NotFoundError, StaleWriteError
from atoll.resources.faults import pointer
from atoll.resources.meta import Metadata
from atoll.resources.teams import Team, TeamSpec

_TRIES = 8


class Teams:
    """Use cases of teams. Every method raises errors of `atoll.errors`."""

    def __init__(self, cluster: Cluster, changes: QuotaChanges) -> None:
        self._cluster = cluster
        self._changes = changes

    async def page(self, caller: Caller, ask: PageAsk | None = None) -> Page[TeamRead]:
        """A piece of the list of teams the caller may see, by name."""
        found = []
        for item in await self._cluster.items(kinds.TEAM):
            try:
                team = stored(Team, item)
            except StoredInvalidError:
                continue  # one broken team must not hide the others; its own page says what is wrong
            if may_see(caller, team.name):
                found.append(team_read(team))
        return piece(found, ask or PageAsk())

    async def get(self, caller: Caller, name: str) -> TeamRead:
        """One team. NotFoundError when there is none, or the caller may not see it."""
        return team_read(stored(Team, await self._find(caller, name)))

    async def create(
        self, caller: Caller, wanted: TeamCreate, *, key: str | None = None, dry_run: bool = False
    ) -> TeamRead:
        """A new team. ConflictError (code "exists") when the name is taken."""
        refuse_if_any([*_name_problems(wanted.name), *spec_problems(wanted.spec)])
        use = idempotency(caller, "POST /v1/teams", key, wanted)
        team = Team(metadata=Metadata(name=wanted.name), spec=wanted.spec)
        async with one_at_a_time(use):
            if earlier := await find_earlier(self._cluster, kinds.TEAM, use):
                return team_read(stored(Team, earlier))
            if await self._cluster.find(kinds.TEAM, wanted.name):
                raise _taken(wanted.name)
            refuse_if_any(await self._unknown_profiles(wanted.spec.profiles))
            manifest = team.manifest()
            if use:
                use.mark(manifest)
            author(caller, "created").mark(manifest)
            async with self._changes.alone(wanted.spec.parent, dry_run=dry_run):
                await self._changes.check(None, manifest)
                if dry_run:
                    return team_read(team)
                try:
                    made = await self._cluster.create(manifest)
                except ConflictError as error:
                    raise _taken(wanted.name) if error.code == "exists" else error from error
            await self._changes.record(made)
            return team_read(stored(Team, made))

    async def patch(
        self,
        caller: Caller,
        name: str,
        body: Any,
        *,
        expected: Expected,
        dry_run: bool = False,
        confirm: str | None = None,
    ) -> TeamRead:
        """JSON merge patch {"spec": ...}. PreconditionError when `expected` is not the stored revision.

        A lower quota may need `confirm`, as with `Quotas.put`; a team that holds something keeps its
        parent.
        """
        change = spec_patch(body)
        free = dry_run or not {"quota", "parent"} & change.keys()
        for _ in range(_TRIES):
            found = await self._find(caller, name)
            check_revision(found, expected)
            spec = parse(TeamSpec, merge_patch(found.get("spec") or {}, change), "/spec")
            had = (found.get("spec") or {}).get("profiles") or []
            unknown = await self._unknown_profiles(spec.profiles, had)
            refuse_if_any([*spec_problems(spec), *unknown])
            try:
                async with self._changes.alone(name, spec.parent, dry_run=free):
                    made = await self._patch_once(
                        caller, name, change, expected=expected, dry_run=dry_run, confirm=confirm
                    )
                return team_read(stored(Team, made))
            except StaleWriteError:  # a reservation, or somebody else's change; the revision tells
                continue
        raise StaleWriteError(f"Team {name!r} changes too often just now; try again in a moment")

    async def _patch_once(
        self,
        caller: Caller,
        name: str,
        change: Mapping[str, Any],
        *,
        expected: Expected,
        dry_run: bool,
        confirm: str | None,
    ) -> Object:
        """The team as it is then, or would be. StaleWriteError when somebody wrote first."""
        found = await self._find(caller, name)
        check_revision(found, expected)
        spec = parse(TeamSpec, merge_patch(found.get("spec") or {}, change), "/spec")
        wanted = {**found, "metadata": dict(found["metadata"]), "spec": spec.dump()}
        quota_changes = changes_quota(found, wanted)
        if quota_changes:
            await self._check_quota(found, wanted, None if dry_run else confirm, dry_run)
        if dry_run or wanted["spec"] == found.get("spec"):
            return wanted
        if quota_changes:
            return await self._changes.write(wanted, author(caller))
        return await self._cluster.replace(wanted)

    async def _unknown_profiles(
        self, names: Sequence[str], had: Sequence[str] = ()
    ) -> list[FieldProblem]:
        """Profiles that are not there; those that the team `had` may stay when one was deleted since."""
        if set(names) <= set(had):
            return []
        known = sorted(
            item["metadata"]["name"] for item in await self._cluster.items(kinds.PROFILE)
        )
        ways = f"the profiles are: {', '.join(known)}" if known else "there is no profile yet"
        return [
            FieldProblem(
                pointer("spec", "profiles", index), f"there is no profile {name!r}; {ways}"
            )
            for index, name in enumerate(names)
            if name not in known and name not in had
        ]

    async def _check_quota(
        self, found: Object, wanted: Object, confirm: str | None, dry_run: bool
    ) -> None:
        old, new = (t.get("spec") or {} for t in (found, wanted))
        if old.get("parent") != new.get("parent") and (held := entries_of(found)):
            raise ConflictError(
                f"The parent of {found['metadata']['name']!r} cannot be changed while virtual clusters of "
                f"it or of teams below it hold quota: {', '.join(sorted(map(owner_of, held)))}",
                code="in_use",
                fields=(FieldProblem("/spec/parent", "cannot be changed now"),),
            )
        world = await self._changes.check(found, wanted)
        if not dry_run:
            await self._changes.confirm(wanted, world, confirm)

    async def delete(
        self, caller: Caller, name: str, *, expected: Expected, dry_run: bool = False
    ) -> None:
        """Delete a team that has no virtual clusters; ConflictError names those it has."""
        for _ in range(_TRIES):
            found = await self._find(caller, name)
            check_revision(found, expected)
            await self._refuse_in_use(found)
            if dry_run:
                return
            try:
                # The ledger is part of the team: a create in between moves its revision on.
                await self._cluster.delete_at(
                    kinds.TEAM, name, found["metadata"]["resourceVersion"]
                )
                return
            except StaleWriteError:  # a reservation, or somebody else's change; the revision tells
                continue
        raise StaleWriteError(f"Team {name!r} changes too often just now; try again in a moment")

    async def _refuse_in_use(self, found: Object) -> None:
        team = found["metadata"]["name"]
        items = await self._cluster.items(kinds.VIRTUAL_CLUSTER)
        held = {i["metadata"]["name"] for i in items if i["spec"].get("team") == team}
        held |= {owner_of(key) for key in entries_of(found)}
        if held:
            raise ConflictError(
                f"Team {team!r} still has virtual clusters: {', '.join(sorted(held))}. Delete them "
                "first, and wait until they are gone.",
                code="in_use",
                extra={"virtual_clusters": sorted(held)},
            )
        if below := (await self._changes.read_world()).tree.children(team):
            names = [share.name for share in below]
            raise ConflictError(
                f"Team {team!r} is the parent of: {', '.join(names)}. Delete those first, or give them "
                "another parent.",
                code="in_use",
                extra={"teams": names},
            )

    async def _find(self, caller: Caller, name: str) -> Object:
        found = (
            await self._cluster.find(kinds.TEAM, name)
            if can_exist(name) and may_see(caller, name)
            else None
        )
        if found is None:
            raise NotFoundError(f"There is no team {name!r}, or you may not see it")
        return found


def _taken(name: str) -> ConflictError:
    return ConflictError(
        f"Team {name!r} exists already; choose another name, or PATCH the one that exists",
        code="exists",
        fields=(FieldProblem("/name", "is taken"),),
    )


def _name_problems(name: str) -> list[FieldProblem]:
    problem = name_problem(name)
    return [FieldProblem("/name", problem, "32 characters")] if problem else []


def spec_problems(spec: TeamSpec) -> list[FieldProblem]:
    """What is wrong with the spec of a team beyond its types and its quota."""
    found = []
    names = [m.name for m in spec.members]
    for index, name in enumerate(names):
        where = pointer("spec", "members", index, "name")
        if not name.strip():
            found.append(FieldProblem(where, "is empty"))
        elif name in names[:index]:
            found.append(
                FieldProblem(where, f"{name!r} is a member already; list each person once")
            )
    return found
