"""Teams: create, read, change, delete."""

from typing import Any

from atoll.application.callers import Caller, may_see
from atoll.application.idempotency import find_earlier, idempotency, one_at_a_time
from atoll.application.pages import PageAsk, piece
from atoll.application.reads import team_read
from atoll.application.revisions import Expected, changed, check_revision
from atoll.application.validation import (
    StoredInvalidError,
    can_exist,
    merge_patch,
    parse,
    pointer,
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
from atoll.domain.quantities import parse_quantity
from atoll.domain.quotas import owner_of, resource_problem
from atoll.errors import ConflictError, FieldProblem, NotFoundError, StaleWriteError
from atoll.resources.meta import Metadata
from atoll.resources.teams import Team, TeamSpec

_TRIES = 8


class Teams:
    """Use cases of teams. Every method raises errors of `atoll.errors`."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

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
            if dry_run:
                if await self._cluster.find(kinds.TEAM, wanted.name):
                    raise _taken(wanted.name)
                return team_read(team)
            manifest = team.manifest()
            if use:
                use.mark(manifest)
            try:
                return team_read(stored(Team, await self._cluster.create(manifest)))
            except ConflictError as error:
                raise _taken(wanted.name) if error.code == "exists" else error from error

    async def patch(
        self, caller: Caller, name: str, body: Any, *, expected: Expected, dry_run: bool = False
    ) -> TeamRead:
        """JSON merge patch {"spec": ...}. PreconditionError when `expected` is not the stored revision."""
        change = spec_patch(body)
        for _ in range(_TRIES):
            found = await self._find(caller, name)
            check_revision(found, expected)
            spec = parse(TeamSpec, merge_patch(found.get("spec") or {}, change), "/spec")
            refuse_if_any(spec_problems(spec))
            wanted = {**found, "spec": spec.dump()}
            if dry_run or wanted["spec"] == found.get("spec"):
                return team_read(stored(Team, wanted))
            try:
                return team_read(stored(Team, await self._cluster.replace(wanted)))
            except StaleWriteError as error:
                if expected is not None:
                    raise changed(await self._find(caller, name)) from error
        raise StaleWriteError(f"Team {name!r} changes too often just now; try again in a moment")

    async def delete(
        self, caller: Caller, name: str, *, expected: Expected, dry_run: bool = False
    ) -> None:
        """Delete a team that has no virtual clusters; ConflictError names those it has."""
        for _ in range(_TRIES):
            found = await self._find(caller, name)
            check_revision(found, expected)
            await self._refuse_with_virtual_clusters(found)
            if dry_run:
                return
            try:
                # The ledger is part of the team: a create in between moves its revision on.
                await self._cluster.delete_at(
                    kinds.TEAM, name, found["metadata"]["resourceVersion"]
                )
                return
            except StaleWriteError as error:
                if expected is not None:
                    raise changed(await self._find(caller, name)) from error
        raise StaleWriteError(f"Team {name!r} changes too often just now; try again in a moment")

    async def _refuse_with_virtual_clusters(self, found: Object) -> None:
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
    """What is wrong with the spec of a team beyond its types."""
    found = []
    for resource, line in spec.quota.items():
        where = pointer("spec", "quota", resource)
        if problem := resource_problem(resource):
            found.append(FieldProblem(where, problem))
        if line.guaranteed and parse_quantity(line.guaranteed) > parse_quantity(line.limit):
            found.append(
                FieldProblem(
                    f"{where}/guaranteed", "is more than the limit of this line", line.limit
                )
            )
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
