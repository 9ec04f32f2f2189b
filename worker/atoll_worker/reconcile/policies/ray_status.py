"""What a Ray workload came to is told by KubeRay: it decides what goes on when the quota is full
(`policies.counts`), so nobody else may say it.
"""

from atoll_worker.reconcile.policies.manifests import (
    OPERATOR,
    PLATFORM,
    Policy,
    Rule,
    resources,
)

_STATUSES = [resources("ray.io", "*", ["*/status"], "CREATE", "UPDATE")]


def validate_ray_status() -> Policy:
    """Members have no right to a status; an owner, who has every right, is told so."""
    return Policy(
        "atoll-ray-status", _STATUSES,
        rules=[
            Rule(
                f"{PLATFORM} || {OPERATOR}",
                "The status of Ray clusters, jobs and services is written by KubeRay alone; change their "
                "spec, and it follows.",
            )
        ],
    )  # fmt: skip
