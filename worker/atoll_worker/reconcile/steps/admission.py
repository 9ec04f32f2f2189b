"""The team and the profile exist, and the team's quota has room."""

from typing import Any

from atoll.cluster.reservations import Held, held
from atoll.domain.quotas import demand, lacking_in_shared_mode, missing_resources
from atoll.domain.ray_clusters import lacking
from atoll.domain.schedulers import scheduler_problem
from atoll.domain.vcluster_values import find_value_problems
from atoll.resources.virtual_clusters import VirtualClusterSpec
from atoll_worker.reconcile.outcome import Change, Done, Failed, Outcome, Reserve, Wait
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step


class Admission(Step):
    """Reserves the quota in the ledgers of the team and its ancestors."""

    name, title, condition = "admission", "Reserve the quota", "Admitted"

    async def observe(self, scope: Scope) -> Held:
        """Read anew each time: our own reservation changes it."""
        return await held(scope.host, scope.vc.spec.team, scope.vc.name)

    def _wanted(self, scope: Scope) -> dict[str, str]:
        return demand(scope.vc.spec.quota)

    def plan(self, scope: Scope, seen: Held) -> list[Change]:
        if seen.amounts == self._wanted(scope) or self._refusal(scope, seen):
            return []
        return [Reserve(scope.vc.spec.team, scope.vc.name, scope.vc.spec.quota)]

    def _refusal(self, scope: Scope, seen: Held) -> Failed | None:
        """Why it is not let in. The API refuses the same at once; kubectl does not ask the API."""
        spec = scope.vc.spec
        if scope.unreadable:
            return Failed("StoredInvalid", scope.unreadable, permanent=True, who="admin")
        if scope.team is None:
            return _missing("TeamMissing", f"There is no team {spec.team!r}")
        if scope.profile is None:
            return _missing("ProfileMissing", f"There is no profile {spec.profile!r}")
        if seen.broken:
            return Failed("TeamTreeBroken", seen.broken, permanent=True, who="admin")
        unnamed = missing_resources(seen.limits, spec.quota)
        if unnamed:
            return Failed(
                "QuotaNotNamed",
                f"The team, or one above it, has limits on {', '.join(unnamed)}: name an amount of "
                "each in spec.quota.",
                permanent=True,
                who="you",
            )
        problem = scheduler_problem(
            scope.profile.spec.scheduler.name, mode=spec.mode, team=spec.team,
            allowed=scope.team.spec.schedulers, present=scope.vc.status.scheduler,
        )  # fmt: skip
        if problem:
            words = f"Profile {spec.profile!r} {problem.text}."
            return Failed(problem.reason, words, permanent=True, who="team owner")
        kept, wanted = scope.vc.status.gcs_store, scope.profile.spec.redis.place
        if kept not in (None, wanted):
            return _store_changed(spec.profile, kept, wanted)
        return self._spec_refusal(scope)

    def _spec_refusal(self, scope: Scope) -> Failed | None:
        """What the spec asks for that cannot be, whoever's team it is."""
        spec = scope.vc.spec
        if short := lacking(spec.quota, spec.ray_clusters):
            parts = "; ".join(
                f"{r}: {need} needed, {has} named" for r, (need, has) in short.items()
            )
            return Failed(
                "QuotaTooSmall",
                f"spec.quota is less than the Ray clusters of the spec need: {parts}. Make them smaller "
                "or the quota larger.",
                permanent=True,
                who="you",
            )
        shared = _refused_in_shared_mode(spec) if spec.mode == "shared" else None
        if shared:
            return shared
        refused = find_value_problems(spec.values)
        if refused:
            first = refused[0]
            return Failed(
                "ValuesRefused",
                f"spec.values.{first.path}: {first.reason}; {first.instead}.",
                permanent=True,
                who="you",
            )
        return None

    def judge(self, scope: Scope, seen: Held) -> Outcome:
        refusal = self._refusal(scope, seen)
        if refusal:
            return refusal
        if seen.amounts != self._wanted(scope):
            return Wait("Reserving", "The reservation is not written yet")
        return Done("The team's quota has room")

    def facts(self, scope: Scope, seen: Held) -> dict[str, Any]:
        """The scheduler and the store it is let in with are those it keeps."""
        if self._refusal(scope, seen) or seen.amounts != self._wanted(scope):
            return {}
        spec = scope.versions.spec
        return {"scheduler": spec.scheduler.name, "gcs_store": spec.redis.place}

    async def remains(self, scope: Scope) -> Held:
        return await self.observe(scope)

    def remove_plan(self, scope: Scope, left: Held) -> list[Change]:
        return [Reserve(scope.vc.spec.team, scope.vc.name, None)] if left.anywhere else []

    def removed(self, scope: Scope, left: Held) -> Outcome:
        if left.anywhere:
            return Wait("GivingBack", "The reservation is still there")
        return Done("Given back")


def _refused_in_shared_mode(spec: VirtualClusterSpec) -> Failed | None:
    lacking = lacking_in_shared_mode(spec.quota)
    if lacking:
        words = (
            f"A shared virtual cluster needs an amount of {' and '.join(lacking)} in spec.quota; "
            "without one it could fill the host's nodes."
        )
        return Failed("QuotaNeeded", words, permanent=True, who="you")
    if spec.replica_sets:
        words = "A shared virtual cluster owns no nodes. Leave spec.replicaSets out."
        return Failed("NodesNotOwned", words, permanent=True, who="you")
    return None


def _store_changed(profile: str, kept: str | None, wanted: str) -> Failed:
    words = {"own": "a Redis of its own"}
    return Failed(
        "StoreChanged",
        f"Its Ray heads keep their state in {words.get(kept or '', kept)}; profile {profile!r} has "
        f"{words.get(wanted, wanted)}, where nothing of it is. Name a profile with the former, or make a "
        "new virtual cluster.",
        permanent=True,
        who="team owner",
    )


def _missing(reason: str, text: str) -> Failed:
    return Failed(reason, f"{text}. Create it, or name another.", permanent=True, who="team owner")
