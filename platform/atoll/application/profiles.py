"""Profiles: create, read, change, delete."""

from typing import Any

from atoll.application.callers import Caller
from atoll.application.checks import running
from atoll.application.idempotency import find_earlier, idempotency, one_at_a_time
from atoll.application.pages import PageAsk, piece
from atoll.application.reads import profile_read
from atoll.application.revisions import Expected, check_revision
from atoll.application.stock import Stock
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
from atoll.contract.base import Page
from atoll.contract.profiles import ProfileCreate, ProfileRead
from atoll.domain.names import RESERVED, name_problem
from atoll.domain.schedulers import scheduler_named
from atoll.domain.versions import find_step_problems, find_version_problems, parse_version
from atoll.errors import ConflictError, FieldProblem, NotFoundError, StaleWriteError
from atoll.resources.meta import Metadata
from atoll.resources.profiles import Profile, ProfileSpec

_TRIES = 8
_FIELDS = {
    "kubernetes": "/spec/kubernetes/version",
    "vcluster": "/spec/vcluster/chart/version",
    "kuberay": "/spec/kuberay/chart/version",
    "scheduler": "/spec/scheduler/chart/version",
    "ray": "/spec/ray/version",
}


class Profiles:
    """Use cases of profiles. Every method raises errors of `atoll.errors`."""

    def __init__(self, cluster: Cluster, stock: Stock) -> None:
        self._cluster = cluster
        self._stock = stock

    async def page(self, caller: Caller, ask: PageAsk | None = None) -> Page[ProfileRead]:
        """A piece of the list of profiles, by name. Everybody who is signed in may see them."""
        found = []
        for item in await self._cluster.items(kinds.PROFILE):
            try:
                found.append(profile_read(stored(Profile, item)))
            except StoredInvalidError:
                continue  # one broken profile must not hide the others
        return piece(found, ask or PageAsk())

    async def get(self, caller: Caller, name: str) -> ProfileRead:
        """One profile."""
        return profile_read(stored(Profile, await self._find(name)))

    async def create(
        self,
        caller: Caller,
        wanted: ProfileCreate,
        *,
        key: str | None = None,
        dry_run: bool = False,
    ) -> ProfileRead:
        """A new profile. ConflictError (code "exists") when the name is taken."""
        found = spec_problems(wanted.spec) or self._stock.problems(wanted.spec)
        refuse_if_any([*name_problems(wanted.name, "/name"), *found])
        use = idempotency(caller, "POST /v1/profiles", key, wanted)
        profile = Profile(metadata=Metadata(name=wanted.name), spec=wanted.spec)
        async with one_at_a_time(use):
            if earlier := await find_earlier(self._cluster, kinds.PROFILE, use):
                return profile_read(stored(Profile, earlier))
            if dry_run:
                if await self._cluster.find(kinds.PROFILE, wanted.name):
                    raise _taken(wanted.name)
                return profile_read(profile)
            manifest = profile.manifest()
            if use:
                use.mark(manifest)
            try:
                return profile_read(stored(Profile, await self._cluster.create(manifest)))
            except ConflictError as error:
                raise _taken(wanted.name) if error.code == "exists" else error from error

    async def patch(
        self, caller: Caller, name: str, body: Any, *, expected: Expected, dry_run: bool = False
    ) -> ProfileRead:
        """JSON merge patch {"spec": ...}; virtual clusters of the profile follow its versions.

        ConflictError (code "in_use") when they could not follow; it names them.
        """
        change = spec_patch(body)
        for _ in range(_TRIES):
            found = await self._find(name)
            check_revision(found, expected)
            spec = parse(ProfileSpec, merge_patch(found.get("spec") or {}, change), "/spec")
            refuse_if_any(spec_problems(spec) or self._new_lacks(found, spec))
            await self._refuse_other_scheduler(found, spec)
            await self._refuse_steps(stored(Profile, found), spec)
            wanted = {**found, "spec": spec.dump()}
            if dry_run or wanted["spec"] == found.get("spec"):
                return profile_read(stored(Profile, wanted))
            try:
                return profile_read(stored(Profile, await self._cluster.replace(wanted)))
            except StaleWriteError:  # somebody else's change; the revision tells
                continue
        raise _too_often(name)

    def _new_lacks(self, found: Object, spec: ProfileSpec) -> list[FieldProblem]:
        """What the bundle lacks and the profile did not ask for before: an old one can still retire."""
        before = parse(ProfileSpec, found.get("spec") or {}, "/spec")
        known = self._stock.problems(before)
        return [problem for problem in self._stock.problems(spec) if problem not in known]

    async def _users(self, name: str) -> list[str]:
        """Names of the virtual clusters with this profile."""
        items = await self._cluster.items(kinds.VIRTUAL_CLUSTER)
        return sorted(i["metadata"]["name"] for i in items if i["spec"].get("profile") == name)

    async def _refuse_steps(self, before: Profile, spec: ProfileSpec) -> None:
        """ConflictError when virtual clusters follow this profile and could not follow this change."""
        after = before.model_copy(update={"spec": spec})
        found = find_step_problems(running(before), running(after))
        users = await self._users(before.name) if found else []
        if not users:
            return
        reasons = "; ".join(problem.reason for problem in found)
        raise ConflictError(
            f"{reasons}. Profile {before.name!r} is used by: {', '.join(users)}. Make another profile "
            "for new virtual clusters, or go step by step.",
            code="in_use",
            fields=tuple(FieldProblem(_FIELDS[p.part], p.reason) for p in found),
            extra={"virtual_clusters": users},
        )

    async def delete(
        self, caller: Caller, name: str, *, expected: Expected, dry_run: bool = False
    ) -> None:
        """Delete a profile that no virtual cluster uses; ConflictError names those that do."""
        for _ in range(_TRIES):
            found = await self._find(name)
            check_revision(found, expected)
            await self._refuse_in_use(name)
            if dry_run:
                return
            at = found["metadata"]["resourceVersion"]
            try:
                await self._cluster.delete_at(kinds.PROFILE, name, at)
            except StaleWriteError:
                continue
            return
        raise _too_often(name)

    async def _refuse_in_use(self, name: str) -> None:
        if users := await self._users(name):
            raise ConflictError(
                f"Profile {name!r} is used by: {', '.join(users)}. Give them another profile or "
                "delete them first; to stop new ones, set retired.",
                code="in_use",
                extra={"virtual_clusters": users},
            )

    async def _refuse_other_scheduler(self, found: Object, spec: ProfileSpec) -> None:
        """Gangs that run cannot be handed from one scheduler to another."""
        name, wanted = found["metadata"]["name"], spec.scheduler.name
        present = parse(ProfileSpec, found.get("spec") or {}, "/spec").scheduler.name
        if wanted != present and (users := await self._users(name)):
            raise ConflictError(
                f"Profile {name!r} is used by: {', '.join(users)}, which run the scheduler {present}. "
                f"Make a new profile for {wanted}, and new virtual clusters with it.",
                code="in_use",
                fields=(FieldProblem("/spec/scheduler/name", f"is in use as {present!r}"),),
                extra={"virtual_clusters": users},
            )

    async def _find(self, name: str) -> Object:
        found = await self._cluster.find(kinds.PROFILE, name) if can_exist(name) else None
        if found is None:
            raise NotFoundError(f"There is no profile {name!r}")
        return found


def _too_often(name: str) -> StaleWriteError:
    return StaleWriteError(f"Profile {name!r} changes too often just now; try again in a moment")


def _taken(name: str) -> ConflictError:
    return ConflictError(
        f"Profile {name!r} exists already; choose another name, or PATCH the one that exists",
        code="exists",
        fields=(FieldProblem("/name", "is taken"),),
    )


def name_problems(name: str, pointer: str) -> list[FieldProblem]:
    """What is wrong with the name of a profile, told at this pointer."""
    problem = None if name in RESERVED else name_problem(name)
    return [FieldProblem(pointer, problem, "32 characters")] if problem else []


def spec_problems(spec: ProfileSpec) -> list[FieldProblem]:
    """What is wrong with the spec of a profile beyond its types."""
    found = find_version_problems(
        kubernetes=spec.kubernetes.version,
        vcluster=spec.vcluster.chart.version,
        kuberay=spec.kuberay.chart.version,
        scheduler=spec.scheduler.chart.version,
        oldest_scheduler=scheduler_named(spec.scheduler.name).oldest,
        ray=spec.ray.version,
    )
    problems = [FieldProblem(_FIELDS[problem.part], problem.reason) for problem in found]
    return problems or _kubernetes_problems(spec)


def _kubernetes_problems(spec: ProfileSpec) -> list[FieldProblem]:
    """Too old a Kubernetes for the scheduler; the versions themselves are known to be such."""
    facts = scheduler_named(spec.scheduler.name)
    oldest = facts.oldest_kubernetes
    if oldest is None or parse_version(spec.kubernetes.version) >= oldest:
        return []
    return [
        FieldProblem(
            _FIELDS["kubernetes"],
            f"{spec.kubernetes.version} is too old for the scheduler {facts.name}, which needs "
            f"{oldest} or later; take it, or the scheduler volcano",
        )
    ]
