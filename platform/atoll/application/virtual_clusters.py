"""Virtual clusters: create, read, change, delete. The worker does what the spec says."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from atoll.application import checks
from atoll.application.callers import Caller, may_see
from atoll.application.events import VirtualClusterFeed
from atoll.application.idempotency import Idempotency, find_earlier, idempotency, one_at_a_time
from atoll.application.node_fit import newly_named, ray_size_problems
from atoll.application.nodes import none_asked_problem, read_inventory
from atoll.application.pages import PageAsk, piece
from atoll.application.reads import virtual_cluster_read
from atoll.application.revisions import Expected, check_revision, replace_spec
from atoll.application.validation import (
    StoredInvalidError,
    can_exist,
    merge_patch,
    parse,
    refuse_if_any,
    spec_patch,
    stored,
)
from atoll.application.virtual_cluster_quotas import confirm_quota, quota_preview
from atoll.cluster import kinds, reservations
from atoll.cluster.client import Cluster, Object
from atoll.contract.base import Page
from atoll.contract.virtual_clusters import (
    VirtualClusterCreate,
    VirtualClusterQuotaPreview,
    VirtualClusterQuotaWrite,
    VirtualClusterRead,
)
from atoll.dispatch import Dispatch
from atoll.domain.names import FINALIZER, LABEL_TEAM
from atoll.errors import (
    AtollError,
    ConflictError,
    FieldProblem,
    InvalidError,
    NotFoundError,
    StaleWriteError,
    UnavailableError,
)
from atoll.resources.meta import Metadata
from atoll.resources.profiles import Profile
from atoll.resources.teams import Team
from atoll.resources.virtual_clusters import VirtualCluster, VirtualClusterSpec
from atoll.telemetry.logs import about

_TRIES = 8
_QUEUE_AWAY = (
    "Accepted. The queue does not answer just now, so work starts a few seconds later than usual."
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Checked:
    """A spec that passed, and what was seen on the way."""

    warning: str | None


class VirtualClusters:
    """Use cases of virtual clusters. Every method raises errors of `atoll.errors`.

    Answers carry `operation` (id and href of the way to what was asked) and, where something is
    slower than usual, `operation.warning` in words for the user.
    """

    def __init__(
        self, cluster: Cluster, dispatch: Dispatch, feed: VirtualClusterFeed, *, node_label: str
    ) -> None:
        self._cluster = cluster
        self._dispatch = dispatch
        self._feed = feed
        self._node_label = node_label

    async def page(
        self, caller: Caller, ask: PageAsk | None = None, *, team: str | None = None
    ) -> Page[VirtualClusterRead]:
        """A piece of the list of virtual clusters the caller may see, by name, of one team or of all."""
        found = self._feed.items() if self._feed.synced else await self._list()
        mine = [
            virtual_cluster_read(v)
            for v in found
            if may_see(caller, v.spec.team) and team in (None, v.spec.team)
        ]
        return piece(mine, ask or PageAsk())

    async def get(self, caller: Caller, name: str) -> VirtualClusterRead:
        """One virtual cluster. NotFoundError when there is none, or the caller may not see it."""
        return virtual_cluster_read(stored(VirtualCluster, await self._find(caller, name)))

    async def create(
        self,
        caller: Caller,
        wanted: VirtualClusterCreate,
        *,
        key: str | None = None,
        dry_run: bool = False,
    ) -> VirtualClusterRead:
        """A new virtual cluster, accepted and not yet there.

        InvalidError names fields; QuotaExceededError has the numbers; ConflictError (code "exists")
        when the name is taken. With `dry_run` everything is checked and nothing is written.
        """
        use = idempotency(caller, "POST /v1/virtual-clusters", key, wanted)
        async with one_at_a_time(use):
            if earlier := await find_earlier(self._cluster, kinds.VIRTUAL_CLUSTER, use):
                return self._replayed(earlier)
            refuse_if_any(checks.virtual_cluster_name_problems(wanted.name))
            about(virtual_cluster=wanted.name)
            await self._refuse_taken(wanted.name)
            checked = await self._check(caller, wanted.name, wanted.spec)
            await reservations.check(
                self._cluster, wanted.spec.team, wanted.name, wanted.spec.quota
            )
            found = VirtualCluster(metadata=Metadata(name=wanted.name), spec=wanted.spec)
            if dry_run:
                return virtual_cluster_read(found, warning=checked.warning)
            made = await self._write_reserved(wanted.name, wanted.spec, _manifest(found, use), use)
        return await self._accepted(made, checked.warning)

    async def patch(
        self,
        caller: Caller,
        name: str,
        body: Any,
        *,
        expected: Expected,
        dry_run: bool = False,
        confirm: str | None = None,
    ) -> VirtualClusterRead:
        """JSON merge patch {"spec": ...}; a patch that breaks a rule changes nothing.

        PreconditionError when `expected` is not the stored revision; ConfirmationNeededError when the
        quota would be below what is used and `confirm` does not name the preview of that. Team, mode
        and name stay.
        """
        change = spec_patch(body)
        for _ in range(_TRIES):
            found = await self._find(caller, name)
            check_revision(found, expected)
            before = stored(VirtualCluster, found)
            if before.deleting:
                raise _being_deleted(name)
            spec = parse(VirtualClusterSpec, merge_patch(found["spec"], change), "/spec")
            refuse_if_any(checks.immutable_problems(before.spec, spec))
            checked = await self._check(caller, name, spec, before)
            await reservations.check(self._cluster, spec.team, name, spec.quota)
            if dry_run or spec == before.spec:
                planned = before.model_copy(update={"spec": spec})
                return virtual_cluster_read(planned, warning=checked.warning)
            confirm_quota(before, spec, confirm)
            try:
                wanted = {**found, "spec": spec.dump()}
                made = await self._write_reserved(name, spec, wanted, None)
            except StaleWriteError:  # somebody else's wish; its revision tells
                continue
            return await self._accepted(made, checked.warning)
        raise _too_often(name)

    async def preview_quota(
        self, caller: Caller, name: str, wanted: VirtualClusterQuotaWrite
    ) -> VirtualClusterQuotaPreview:
        """What this quota in place of its own would do, and why a PATCH with it would be refused."""
        before = stored(VirtualCluster, await self._find(caller, name))
        spec = before.spec.model_copy(update={"quota": wanted.quota})
        return quota_preview(before, spec, await self._refusals(caller, before, spec))

    async def preview_patch(
        self, caller: Caller, name: str, body: Any, *, expected: Expected
    ) -> VirtualClusterQuotaPreview:
        """As `preview_quota`, of a whole merge patch: a smaller quota with smaller Ray clusters may fit.

        InvalidError when a value of it means nothing; PreconditionError as in `patch`.
        """
        found = await self._find(caller, name)
        check_revision(found, expected)
        before = stored(VirtualCluster, found)
        spec = parse(VirtualClusterSpec, merge_patch(found["spec"], spec_patch(body)), "/spec")
        return quota_preview(before, spec, await self._refusals(caller, before, spec))

    async def _refusals(
        self, caller: Caller, before: VirtualCluster, spec: VirtualClusterSpec
    ) -> tuple[FieldProblem, ...]:
        try:
            if before.deleting:
                raise _being_deleted(before.name)
            refuse_if_any(checks.immutable_problems(before.spec, spec))
            await self._check(caller, before.name, spec, before)
            await reservations.check(self._cluster, spec.team, before.name, spec.quota)
        except (InvalidError, ConflictError) as error:
            return error.fields or (FieldProblem("/spec/quota", error.detail),)
        return ()

    async def delete(
        self, caller: Caller, name: str, *, expected: Expected, dry_run: bool = False
    ) -> VirtualClusterRead:
        """Ask for deletion; the worker takes down everything and then lets the name go.

        Asking again is fine and answers with the same operation.
        """
        for _ in range(_TRIES):
            found = await self._find(caller, name)
            check_revision(found, expected)
            before = stored(VirtualCluster, found)
            if dry_run or before.deleting:
                return virtual_cluster_read(before)
            try:
                revision = before.metadata.resource_version
                await self._cluster.delete_at(kinds.VIRTUAL_CLUSTER, name, revision)
            except StaleWriteError:
                continue
            return await self._deletion(before)
        raise _too_often(name)

    async def _deletion(self, before: VirtualCluster) -> VirtualClusterRead:
        """What has become of it since its deletion was asked for."""
        after = await self._cluster.find(kinds.VIRTUAL_CLUSTER, before.name)
        if after is None or after["metadata"]["uid"] != before.metadata.uid:
            return await self._gone_at_once(before)
        return await self._accepted(after, None)

    async def _gone_at_once(self, before: VirtualCluster) -> VirtualClusterRead:
        """It had no finalizer, so no worker ever touched it: nothing to take down."""
        await reservations.release(self._cluster, before.spec.team, before.name)
        operation = f"{before.metadata.uid}.{before.metadata.generation + 1}"
        about(operation=operation)
        return virtual_cluster_read(before, operation_id=operation)

    async def _check(
        self,
        caller: Caller,
        name: str,
        spec: VirtualClusterSpec,
        before: VirtualCluster | None = None,
    ) -> _Checked:
        """Raise InvalidError with everything that is wrong with the spec, at once."""
        team_object = await self._team(caller, spec.team)
        team = stored(Team, team_object) if team_object else None
        profile = await self._profile(spec.profile)
        limits = (await reservations.held(self._cluster, spec.team, name)).limits if team else {}
        had = before.spec.profile if before else None
        runs = before.status.scheduler if before else None
        problems = [
            *checks.spec_problems(spec),
            *checks.team_problems(spec, team, limits),
            *checks.profile_problems(spec, profile, team, had, runs),
            *checks.password_problems(before.spec if before else None, spec, profile),
        ]
        if had and had != spec.profile:
            problems += checks.downgrade_problems(await self._profile(had), profile)
            kept = before.status.gcs_store if before else None
            problems += checks.store_problems(kept, spec, profile)
        waiting, node_problems = await self._check_nodes(
            name, spec, before.spec if before else None
        )
        refuse_if_any([*problems, *node_problems])
        return _Checked(waiting)

    async def _check_nodes(
        self, name: str, spec: VirtualClusterSpec, before: VirtualClusterSpec | None
    ) -> tuple[str | None, list[FieldProblem]]:
        """What it must wait for, and what the host's nodes can never give."""
        inventory = await read_inventory(self._cluster, self._node_label)
        if spec.mode == "dedicated" and not any(spec.replica_sets.values()):
            return None, [none_asked_problem(inventory)]
        if inventory is None:
            return None, []
        problems = inventory.problems(spec.replica_sets) or [
            *inventory.unknown_resources(newly_named(spec, before)),
            *ray_size_problems(name, spec, before, inventory.nodes),
        ]
        return inventory.waits_for(name, spec.replica_sets), problems

    async def _write_reserved(
        self, name: str, spec: VirtualClusterSpec, manifest: Object, use: Idempotency | None
    ) -> Object:
        """Reserve, write, settle; a write that did not happen leaves nothing reserved."""
        create = "resourceVersion" not in manifest["metadata"]
        try:
            key = await reservations.note(self._cluster, spec.team, name, spec.quota)
        except NotFoundError as error:
            raise InvalidError(f"Team {spec.team!r} was deleted just now") from error
        try:
            if create:
                made = await self._cluster.create(manifest)
            else:
                made = await replace_spec(self._cluster, manifest)
        except UnavailableError:
            # Written or not, we cannot know: the note keeps its share until it expires.
            raise
        except AtollError as error:
            await reservations.undo(self._cluster, spec.team, key)
            earlier = await find_earlier(self._cluster, kinds.VIRTUAL_CLUSTER, use)
            if earlier and error.code == "exists":
                return earlier
            raise _taken(name) if error.code == "exists" else error from error
        try:
            await reservations.settle(self._cluster, spec.team, name, key)
        except AtollError as error:  # what is noted still counts; the worker settles it
            log.warning(
                "reservation.unsettled", team=spec.team, virtual_cluster=name, error=error.code
            )
        return made

    async def _accepted(self, made: Object, warning: str | None) -> VirtualClusterRead:
        found = stored(VirtualCluster, made)
        self._feed.observe(made)
        about(team=found.spec.team, virtual_cluster=found.name, operation=found.operation_id)
        sent = await self._dispatch.send(VirtualCluster.KIND, found.name, found.metadata.generation)
        words = [w for w in (warning, None if sent else _QUEUE_AWAY) if w]
        return virtual_cluster_read(found, warning=" ".join(words) or None)

    def _replayed(self, earlier: Object) -> VirtualClusterRead:
        found = stored(VirtualCluster, earlier)
        operation = f"{found.metadata.uid}.1"
        about(team=found.spec.team, virtual_cluster=found.name, operation=operation)
        return virtual_cluster_read(found, operation_id=operation)

    async def _refuse_taken(self, name: str) -> None:
        existing = await self._cluster.find(kinds.VIRTUAL_CLUSTER, name)
        if existing is not None:
            raise _being_deleted(name) if _deleting(existing) else _taken(name)

    async def _team(self, caller: Caller, name: str) -> Object | None:
        if not (can_exist(name) and may_see(caller, name)):
            return None
        about(team=name)
        return await self._cluster.find(kinds.TEAM, name)

    async def _profile(self, name: str) -> Profile | None:
        found = await self._cluster.find(kinds.PROFILE, name) if can_exist(name) else None
        return stored(Profile, found) if found else None

    async def _list(self) -> list[VirtualCluster]:
        found = []
        for item in await self._cluster.items(kinds.VIRTUAL_CLUSTER):
            try:
                found.append(stored(VirtualCluster, item))
            except StoredInvalidError:
                continue  # one broken object must not hide the others
        return found

    async def _find(self, caller: Caller, name: str) -> Object:
        found = await self._cluster.find(kinds.VIRTUAL_CLUSTER, name) if can_exist(name) else None
        if found is None or not may_see(caller, str(found["spec"].get("team", ""))):
            raise NotFoundError(f"There is no virtual cluster {name!r}, or you may not see it")
        about(team=found["spec"].get("team"), virtual_cluster=name)
        return found


def _manifest(wanted: VirtualCluster, use: Idempotency | None) -> Object:
    manifest = wanted.manifest()
    manifest["metadata"]["labels"] = {LABEL_TEAM: wanted.spec.team}
    manifest["metadata"]["finalizers"] = [FINALIZER]
    if use:
        use.mark(manifest)
    return manifest


def _deleting(found: Mapping[str, Any]) -> bool:
    return bool(found["metadata"].get("deletionTimestamp"))


def _taken(name: str) -> ConflictError:
    return ConflictError(
        f"Virtual cluster {name!r} exists already; choose another name, or PATCH the one that exists",
        code="exists",
        fields=(FieldProblem("/name", "is taken"),),
    )


def _too_often(name: str) -> StaleWriteError:
    return StaleWriteError(f"{name!r} changes too often just now; try again in a moment")


def _being_deleted(name: str) -> ConflictError:
    return ConflictError(
        f"Virtual cluster {name!r} is being deleted; wait until it is gone",
        code="deleting",
        fields=(FieldProblem("/name", "is being deleted"),),
    )
