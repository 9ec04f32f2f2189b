"""The rules of a virtual cluster's spec: pure functions that name every field that breaks one."""

import re
from collections.abc import Iterable

from atoll.domain.names import name_problem
from atoll.domain.quotas import (
    COUNTED,
    lacking_in_shared_mode,
    missing_resources,
    resource_problem,
)
from atoll.domain.ray_clusters import lacking
from atoll.domain.schedulers import scheduler_problem
from atoll.domain.vcluster_values import find_value_problems
from atoll.domain.versions import Running, find_step_problems
from atoll.errors import FieldProblem
from atoll.resources.faults import pointer
from atoll.resources.profiles import Profile
from atoll.resources.teams import Team
from atoll.resources.virtual_clusters import VirtualClusterSpec

RAY_CLUSTER_NAME_LIMIT = 53
"""Longest name of a RayCluster that KubeRay accepts, in characters."""
IMMUTABLE = ("team", "mode")
_DNS_LABEL = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?\Z")


def virtual_cluster_name_problems(name: str) -> list[FieldProblem]:
    """Why a virtual cluster cannot have this name."""
    problem = name_problem(name)
    return [FieldProblem("/name", problem, "32 characters")] if problem else []


def spec_problems(spec: VirtualClusterSpec) -> list[FieldProblem]:
    """What is wrong with the spec by itself."""
    return [
        *_quota_problems(spec),
        *_replica_set_problems(spec),
        *_ray_cluster_problems(spec),
        *(
            FieldProblem("/spec/values" + p.pointer, f"{p.reason}; {p.instead}")
            for p in find_value_problems(spec.values)
        ),
    ]


def _quota_problems(spec: VirtualClusterSpec) -> Iterable[FieldProblem]:
    for resource in spec.quota:
        where = pointer("spec", "quota", resource)
        if resource == COUNTED:
            yield FieldProblem(where, "cannot be set; every virtual cluster counts as one")
        elif problem := resource_problem(resource):
            yield FieldProblem(where, problem)
    for resource in lacking_in_shared_mode(spec.quota) if spec.mode == "shared" else ():
        yield FieldProblem(
            pointer("spec", "quota", resource),
            "is missing; without an amount a shared virtual cluster could fill the host's nodes, so "
            f"say how much {resource} it may use",
        )


def _replica_set_problems(spec: VirtualClusterSpec) -> Iterable[FieldProblem]:
    if spec.mode == "shared" and spec.replica_sets:
        yield FieldProblem(
            "/spec/replicaSets",
            'a shared virtual cluster owns no nodes; leave it out, or use mode "dedicated"',
        )
    for template, count in spec.replica_sets.items():
        if count < 0:
            yield FieldProblem(
                pointer("spec", "replicaSets", template), "must not be negative", "0"
            )


def _ray_cluster_problems(spec: VirtualClusterSpec) -> Iterable[FieldProblem]:
    names = [c.name for c in spec.ray_clusters]
    for index, name in enumerate(names):
        where = pointer("spec", "rayClusters", index, "name")
        if problem := ray_cluster_name_problem(name):
            yield FieldProblem(where, problem, f"{RAY_CLUSTER_NAME_LIMIT} characters")
        elif name in names[:index]:
            yield FieldProblem(where, f"{name!r} is there twice; Ray clusters need different names")
    for resource, (needed, named) in lacking(spec.quota, spec.ray_clusters).items():
        yield FieldProblem(
            "/spec/rayClusters",
            f"together they ask for {needed} of {resource}, more than spec.quota of this virtual "
            "cluster; make them smaller or the quota larger",
            named,
        )


def ray_cluster_name_problem(name: str) -> str | None:
    """Why a Ray cluster cannot have this name, or None when it can."""
    if len(name) > RAY_CLUSTER_NAME_LIMIT:
        return (
            f"{name[:60]!r} has {len(name)} characters; KubeRay allows at most "
            f"{RAY_CLUSTER_NAME_LIMIT}"
        )
    if not _DNS_LABEL.match(name):
        return (
            f"{name!r} is not a DNS label; use lower-case letters, digits and hyphens, start with a "
            "letter and end with a letter or digit"
        )
    return None


def team_problems(
    spec: VirtualClusterSpec, team: Team | None, limits: dict[str, str]
) -> list[FieldProblem]:
    """What the team does not allow, beside amounts."""
    if team is None:
        return [FieldProblem("/spec/team", f"there is no team {spec.team!r}; an admin can make it")]
    if team.metadata.deletion_timestamp:
        return [FieldProblem("/spec/team", f"team {spec.team!r} is being deleted")]
    return [
        FieldProblem(
            pointer("spec", "quota", resource),
            f"is missing; {_limiting(team, resource)} has a limit on {resource}, so say how much this "
            "virtual cluster may hold",
            limits[resource],
        )
        for resource in missing_resources(limits, spec.quota)
    ]


def _limiting(team: Team, resource: str) -> str:
    """Whose limit it is."""
    return f"team {team.name!r}" if resource in team.spec.quota else f"a team above {team.name!r}"


def profile_problems(
    spec: VirtualClusterSpec,
    profile: Profile | None,
    team: Team | None,
    before: str | None,
    scheduler: str | None = None,
) -> list[FieldProblem]:
    """Why this profile cannot be chosen.

    `before` is the profile it has now, which it may keep; `scheduler` the one it runs, None for a new
    virtual cluster.
    """
    where = "/spec/profile"
    allowed = team.spec.profiles if team else []
    if profile is None:
        return [FieldProblem(where, f"there is no profile {spec.profile!r}; see GET /v1/profiles")]
    if spec.profile == before:
        return []
    if allowed and spec.profile not in allowed:
        return [
            FieldProblem(
                where,
                f"team {spec.team!r} may not use profile {spec.profile!r}; it may use: "
                f"{', '.join(allowed)}",
            )
        ]
    if profile.spec.retired:
        return [FieldProblem(where, f"profile {spec.profile!r} is retired; choose another")]
    problem = scheduler_problem(
        profile.spec.scheduler.name, mode=spec.mode, team=spec.team,
        allowed=team.spec.schedulers if team else [], present=scheduler,
    )  # fmt: skip
    return [FieldProblem(where, f"profile {spec.profile!r} {problem.text}")] if problem else []


def running(profile: Profile) -> Running:
    """The versions of a profile that what runs with it cannot change at will."""
    spec = profile.spec
    return Running(spec.kubernetes.version, spec.vcluster.chart.version, spec.kuberay.chart.version)


def downgrade_problems(old: Profile | None, new: Profile | None) -> list[FieldProblem]:
    """Why a virtual cluster cannot go from one profile to the other in one step."""
    if old is None or new is None:
        return []
    found = find_step_problems(running(old), running(new))
    return [FieldProblem("/spec/profile", f"{p.reason}; choose another profile") for p in found]


def password_problems(
    old: VirtualClusterSpec | None, new: VirtualClusterSpec, profile: Profile | None
) -> list[FieldProblem]:
    """Why no new password of its Redis can be made; `old` is None for a new virtual cluster."""
    had = old.redis_password_version if old else 0
    where = "/spec/redisPasswordVersion"
    if new.redis_password_version < had:
        return [
            FieldProblem(where, "can only be raised; each step makes one new password", str(had))
        ]
    external = profile.spec.redis.external if profile else None
    if new.redis_password_version == had or external is None:
        return []
    return [
        FieldProblem(
            where,
            f"profile {new.profile!r} keeps the state of Ray heads in the Redis at {external.address}, "
            "which others run: an admin changes its password there and in the Secret "
            f"{external.secret!r} of the platform's namespace, which is read at every look",
        )
    ]


def store_problems(
    kept: str | None, spec: VirtualClusterSpec, profile: Profile | None
) -> list[FieldProblem]:
    """Why it cannot go to this profile: its Ray heads' state is not there.

    `kept` is where it is, as `VirtualClusterStatus.gcs_store` says; None while nothing is kept.
    """
    if kept is None or profile is None or profile.spec.redis.place == kept:
        return []
    here, there = (
        "a Redis of its own" if place == "own" else f"the Redis at {place}"
        for place in (kept, profile.spec.redis.place)
    )
    return [
        FieldProblem(
            "/spec/profile",
            f"its Ray heads keep their state in {here}, and profile {spec.profile!r} has {there}, where "
            "nothing of it is; choose a profile with the former, or make a new virtual cluster",
        )
    ]


def immutable_problems(old: VirtualClusterSpec, new: VirtualClusterSpec) -> list[FieldProblem]:
    """Fields that cannot be changed after creation."""
    return [
        FieldProblem(
            pointer("spec", field),
            f"cannot be changed from {getattr(old, field)!r}; make a new virtual cluster instead",
        )
        for field in IMMUTABLE
        if getattr(old, field) != getattr(new, field)
    ]
