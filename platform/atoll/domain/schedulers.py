"""The gang schedulers a profile may name, and what a Ray workload must carry for each of them.

How one is installed and asked is the worker's part: `atoll_worker.reconcile.schedulers`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from atoll.domain.versions import Version


@dataclass(frozen=True)
class Scheduler:
    """What everybody must know of one gang scheduler."""

    name: str
    """As profiles write it; also KubeRay's `batchScheduler.name` and the pods' `schedulerName`."""
    oldest: Version
    """Oldest chart version that is known to work."""
    queue_label: str
    """The label of a RayCluster, RayJob or RayService that names its queue."""
    queue_prefix: str = ""
    """What stands before a queue's name in that label."""
    gang_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels by which KubeRay makes a RayCluster one gang. RayClusters carry them; RayJobs and
    RayServices must not: their RayClusters, one for each try, are the gangs."""
    gang_annotation: str = ""
    """An annotation of RayClusters that would make another gang than that of head and workers."""
    identity_label: str = ""
    """The label of a Ray pod that tells its gang from others, where the scheduler needs one."""
    pod_annotations: Mapping[str, str] = field(default_factory=dict)
    """Annotations that every Ray pod carries."""
    oldest_kubernetes: Version | None = None
    """Oldest Kubernetes inside, where the scheduler needs a younger one than others."""
    shared: bool = False
    """Whether the host can run it for shared virtual clusters: their gangs are mirrored there."""

    def queue_value(self, queue: str) -> str:
        """The value of `queue_label` for a queue."""
        return f"{self.queue_prefix}{queue}"

    def labels(self, queue: str) -> dict[str, str]:
        """The labels that make a RayCluster one gang in `queue`."""
        return {self.queue_label: self.queue_value(queue), **self.gang_labels}


VOLCANO = Scheduler(
    name="volcano",
    # CVE-2026-44247 is fixed in 1.12.4, 1.13.3 and 1.14.2.
    oldest=Version(1, 12, 4),
    queue_label="volcano.sh/queue-name",
    shared=True,
)

YUNIKORN = Scheduler(
    name="yunikorn",
    # The line that was tried; it is the first that is built on Kubernetes 1.35.
    oldest=Version(1, 9, 0),
    queue_label="yunikorn.apache.org/queue",
    queue_prefix="root.",
    gang_labels={"ray.io/gang-scheduling-enabled": "true"},
    gang_annotation="yunikorn.apache.org/task-groups",
    identity_label="yunikorn.apache.org/app-id",
    # Soft, the default, starts a part of a gang when the whole has not fitted for 15 minutes. Hard
    # fails it for good after the time. So: Hard, and ten years.
    pod_annotations={
        "yunikorn.apache.org/schedulingPolicyParameters": "placeholderTimeoutInSeconds=315360000 "
        "gangSchedulingStyle=Hard"
    },
    # Pods get these by MutatingAdmissionPolicy.
    oldest_kubernetes=Version(1, 36),
)

SCHEDULERS: Mapping[str, Scheduler] = {one.name: one for one in (VOLCANO, YUNIKORN)}


@dataclass(frozen=True)
class SchedulerProblem:
    """Why a virtual cluster cannot have the scheduler of a profile, with the way out."""

    reason: str
    """One PascalCase word, for conditions."""
    text: str
    """The rest of a sentence that begins with the profile."""


def scheduler_problem(
    name: str, *, mode: str, team: str, allowed: Sequence[str], present: str | None
) -> SchedulerProblem | None:
    """Why a virtual cluster of `team` in `mode` cannot have the scheduler `name`; None when it can.

    `allowed`: the team's allow-list, empty for all. `present`: the scheduler it was let in with, which
    it may keep whatever the list says now; None for a new one.
    """
    if present is not None and name != present:
        return SchedulerProblem(
            "SchedulerChanged",
            f"has the scheduler {name}, and the virtual cluster has {present}: what runs cannot be "
            f"handed over. Choose a profile with {present}, or make a new virtual cluster",
        )
    if mode == "shared" and not scheduler_named(name).shared:
        able = ", ".join(one.name for one in SCHEDULERS.values() if one.shared)
        return SchedulerProblem(
            "SchedulerNotShared",
            f"has the scheduler {name}, which schedules inside dedicated virtual clusters only. Choose "
            f"mode dedicated, or a profile with {able}",
        )
    if present is None and allowed and name not in allowed:
        return SchedulerProblem(
            "SchedulerNotAllowed",
            f"has the scheduler {name}, which team {team!r} may not use; it may use: "
            f"{', '.join(allowed)}. Choose another profile, or ask an admin",
        )
    return None


def scheduler_named(name: str) -> Scheduler:
    """One of `SCHEDULERS`. Raises ValueError, naming those there are, for any other."""
    if name not in SCHEDULERS:
        raise ValueError(f"there is no scheduler {name!r}; there are {', '.join(SCHEDULERS)}")
    return SCHEDULERS[name]
