"""What the reconciler asks of a gang scheduler. Pure: reading and writing stay with the steps."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from atoll.cluster.client import Object
from atoll.cluster.kinds import Kind
from atoll.domain.queue_shares import QueueShare
from atoll.domain.schedulers import Scheduler
from atoll.resources.profiles import Profile


class SchedulerAdapter(Protocol):
    """One gang scheduler inside a virtual cluster. Implementations are frozen and without state.

    KubeRay is told `facts.name` and then puts head and workers of a Ray cluster into one gang.
    """

    @property
    def facts(self) -> Scheduler:
        """Name, labels and oldest version: what others than the worker must know too."""

    @property
    def release(self) -> str:
        """Name of the helm release."""

    @property
    def deployments(self) -> tuple[str, ...]:
        """Deployments of the release; the scheduler works when all are ready."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Environment variables of its deployments' containers for which its chart has no value."""

    @property
    def told_by(self) -> Kind:
        """The kind of object in which the scheduler says why a gang waits; see `explain`."""

    def values(self, profile: Profile) -> dict[str, Any]:
        """Values of its chart. No webhooks: nothing that can be down may stand before a pod."""

    def queue_spec(self, queue: str, share: QueueShare, labels: dict[str, str]) -> Object:
        """The manifest that makes the queue and caps it.

        `share.capability` is the hard cap; what is not named is not capped. `share.guarantee` is kept
        free for the queue, `share.deserved` is what it may claim back.
        """

    def amounts(self, queue: Object | None) -> dict[str, dict[str, str]]:
        """What a queue as it was found, or as `queue_spec` makes it, says of a share: `capability`,
        `deserved`, `guarantee`, each resource -> amount. Empty for none; never raises on what others wrote.
        """

    def explain(self, ray_cluster: str, told: Sequence[Object]) -> str:
        """Why a Ray cluster's gang waits, in the scheduler's words; empty when it says nothing.

        `told`: all objects of kind `told_by` in the Ray cluster's namespace.
        """
