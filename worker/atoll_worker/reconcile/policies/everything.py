"""The whole admission of one virtual cluster."""

from collections.abc import Mapping

from atoll.cluster.client import Object
from atoll.domain.schedulers import VOLCANO
from atoll_worker.reconcile.policies.claims import limit_claims
from atoll_worker.reconcile.policies.clean_ups import validate_clean_ups
from atoll_worker.reconcile.policies.heads import mutate_heads
from atoll_worker.reconcile.policies.limits import mutate_limits, validate_limits
from atoll_worker.reconcile.policies.manifests import (
    Enforced,
    Policy,
    policy_objects,
    priority_classes,
)
from atoll_worker.reconcile.policies.members import validate_members
from atoll_worker.reconcile.policies.names import validate_names
from atoll_worker.reconcile.policies.pods import mutate_pods, validate_pods
from atoll_worker.reconcile.policies.queues import mutate_groups, validate_groups, validate_queues
from atoll_worker.reconcile.policies.ray import mutate_ray, validate_ray, warn_of_upgrades
from atoll_worker.reconcile.policies.ray_status import validate_ray_status
from atoll_worker.reconcile.policies.starts import mutate_starts


def policy_manifests(enforced: Enforced, labels: Mapping[str, str]) -> list[Object]:
    """Priority classes and policies. Validation holds in any case; where the API server can mutate,
    what a user would have to write is put in for them.
    """
    # A shared virtual cluster has only the host's classes: vcluster takes others away again.
    made = [] if enforced.shared else priority_classes(labels)
    for policy in _validating(enforced):
        made += policy_objects(policy, labels)
    if enforced.mutating:
        for policy in _mutating(enforced):
            made += policy_objects(policy, labels, enforced.mutating)
    return made


def _validating(enforced: Enforced) -> list[Policy]:
    made = [validate_ray(enforced), validate_ray_status(), validate_members()]
    upgrades = warn_of_upgrades(enforced)
    if upgrades.rules:
        made.append(upgrades)
    if claims := limit_claims(enforced):
        made.append(claims)
    if enforced.scheduler is VOLCANO:
        made += [validate_pods(enforced), validate_groups(enforced), validate_queues(enforced)]
        made += validate_names()
    if enforced.shared:
        made.append(validate_limits())
    elif enforced.scheduler is VOLCANO:
        made.append(validate_clean_ups())
    return made


def _mutating(enforced: Enforced) -> list[Policy]:
    made = [mutate_ray(enforced), mutate_heads(), mutate_starts()]
    if enforced.scheduler is VOLCANO:
        made += [mutate_pods(enforced), mutate_groups(enforced)]
    if enforced.shared:
        made.append(mutate_limits())
    return made
