"""The gang schedulers a profile may name, and what a Ray workload must carry for each of them.

How one is installed and asked is the worker's part: `atoll_worker.reconcile.schedulers`.
"""

from collections.abc import Mapping
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
    """The label of a Ray workload that names its queue."""
    queue_prefix: str = ""
    """What stands before a queue's name in that label."""
    fixed_labels: Mapping[str, str] = field(default_factory=dict)
    """Labels that every Ray workload carries, whatever its queue."""
    identity_label: str = ""
    """The label that tells one gang from another, where the scheduler needs one."""
    shared: bool = False
    """Whether the host can run it for shared virtual clusters: their gangs are mirrored there."""

    def queue_value(self, queue: str) -> str:
        """The value of `queue_label` for a queue."""
        return f"{self.queue_prefix}{queue}"

    def labels(self, queue: str, namespace: str, name: str) -> dict[str, str]:
        """The labels that make the Ray workload `namespace`/`name` one gang in `queue`."""
        made = {self.queue_label: self.queue_value(queue), **self.fixed_labels}
        if self.identity_label:
            made[self.identity_label] = f"{namespace}.{name}"
        return made


VOLCANO = Scheduler(
    name="volcano",
    # CVE-2026-44247 is fixed in 1.12.4, 1.13.3 and 1.14.2.
    oldest=Version(1, 12, 4),
    queue_label="volcano.sh/queue-name",
    shared=True,
)

SCHEDULERS: Mapping[str, Scheduler] = {one.name: one for one in (VOLCANO,)}


def scheduler_named(name: str) -> Scheduler:
    """One of `SCHEDULERS`. Raises ValueError, naming those there are, for any other."""
    if name not in SCHEDULERS:
        raise ValueError(f"there is no scheduler {name!r}; there are {', '.join(SCHEDULERS)}")
    return SCHEDULERS[name]
