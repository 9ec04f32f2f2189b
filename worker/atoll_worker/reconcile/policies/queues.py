"""What holds for Volcano's own kinds: one queue for the team's gangs, and nobody else makes or bends it."""

from atoll.domain.names import SYSTEM_NAMESPACE
from atoll_worker.reconcile.policies.manifests import (
    PLATFORM,
    Enforced,
    Policy,
    Rule,
    resources,
    text,
)

_GROUP, _VERSION = "scheduling.volcano.sh", "v1beta1"
_GROUPS = [resources(_GROUP, _VERSION, ["podgroups"])]
_QUEUES = [resources(_GROUP, _VERSION, ["queues"], "CREATE", "UPDATE", "DELETE")]
_OURS = f"""
    {PLATFORM}
    || request.userInfo.username.startsWith('system:serviceaccount:{SYSTEM_NAMESPACE}:volcano-')
"""


def mutate_groups(enforced: Enforced) -> Policy:
    """Every PodGroup into the team's queue, also those that Volcano makes for single pods."""
    return Policy(
        "atoll-pod-groups", _GROUPS, tenants_only=True,
        mutations=[f"Object{{spec: Object.spec{{queue: {text(enforced.queue)}}}}}"],
    )  # fmt: skip


def validate_groups(enforced: Enforced) -> Policy:
    """A gang stays in the team's queue, from its creation and at every change."""
    return Policy(
        "atoll-pod-groups", _GROUPS, tenants_only=True,
        conditions={"not-on-its-way-out": "!has(object.metadata.deletionTimestamp)"},
        rules=[
            Rule(
                f"object.spec.?queue.orValue('') == {text(enforced.queue)}",
                f"Set spec.queue to {enforced.queue}: gangs run in their team's queue.",
            )
        ],
    )  # fmt: skip


def validate_queues(enforced: Enforced) -> Policy:
    """Queues are the platform's: their capability is the virtual cluster's quota."""
    return Policy(
        "atoll-queues", _QUEUES,
        rules=[
            Rule(
                _OURS,
                f"Queues are made by the platform: {enforced.queue} has the capability of the virtual "
                "cluster's quota. Ask the team owner to change the quota instead.",
            )
        ],
    )  # fmt: skip
