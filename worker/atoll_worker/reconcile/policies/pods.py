"""What holds for every pod of the team under Volcano: one scheduler and one queue, Ray or not.

A pod past the queue would take from the host's quota what the queue believes to be free, and the
host would then refuse a part of a gang. With all pods in the queue, whose capability is the quota,
what the gang scheduler admits always fits the host's quota: a gang is never cut there.
"""

from atoll.domain.gangs import GROUP_NAME
from atoll.domain.names import PRIORITY_PLAIN
from atoll.domain.schedulers import VOLCANO
from atoll_worker.reconcile.policies.clean_ups import clean_up_pod
from atoll_worker.reconcile.policies.limits import BOUNDED
from atoll_worker.reconcile.policies.manifests import Enforced, Policy, Rule, resources, text

_PODS = [resources("", "v1", ["pods"], "CREATE")]
QUEUE_NOTE = "scheduling.volcano.sh/queue-name"
_NOTES = "object.metadata.?annotations.orValue({})"
_LABELS = "object.metadata.?labels.orValue({})"
_OWN_SHARE = {"no-cleanup-of-kuberay": f"!({clean_up_pod()})"}
_SHARED = {"not-plain": f"object.spec.?priorityClassName.orValue('') != {text(PRIORITY_PLAIN)}"}
"""In shared mode the host lets pods past the queue by their class alone."""
_DEFAULTS = {"cpu": "50m", "memory": "128Mi", "ephemeral-storage": "100Mi"}
"""Requests of containers that ask for nothing: those the host would give (helm/tenant, limitRange)."""


def _conditions(enforced: Enforced) -> dict[str, str]:
    return _SHARED if enforced.shared else _OWN_SHARE


def mutate_pods(enforced: Enforced) -> Policy:
    """Send every pod through the gang scheduler, in the team's queue, with requests that count."""
    defaults = _DEFAULTS | (BOUNDED if enforced.shared else {})
    requests = ", ".join(
        f"{text(name)}: string(c.?resources.?requests[?{text(name)}].orValue({text(amount)}))"
        for name, amount in defaults.items()
    )
    return Policy(
        "atoll-pods", _PODS, _conditions(enforced), tenants_only=True,
        mutations=[
            f"""
            Object{{
                metadata: Object.metadata{{
                    annotations: {{{text(QUEUE_NOTE)}: {text(enforced.host_queue or enforced.queue)}}}}},
                spec: Object.spec{{
                    schedulerName: {text(VOLCANO.name)},
                    containers: object.spec.containers.map(c, Object.spec.containers{{
                        name: c.name,
                        resources: Object.spec.containers.resources{{requests: {{{requests}}}}}}})}}
            }}
            """
        ],
    )  # fmt: skip


def validate_pods(enforced: Enforced) -> Policy:
    """Where the API server cannot mutate, a pod must say so itself."""
    queue, placed = text(enforced.queue), enforced.host_queue or enforced.queue
    return Policy(
        "atoll-pods", _PODS, _conditions(enforced), tenants_only=True,
        rules=[
            Rule(
                f"object.spec.?schedulerName.orValue('') == {text(VOLCANO.name)}",
                f"Set spec.schedulerName to {VOLCANO.name}: all pods of a team go through its "
                "queue, so that no gang is cut by the quota.",
            ),
            Rule(
                f"""
                {text(GROUP_NAME)} in {_NOTES}
                || {_NOTES}[?{text(QUEUE_NOTE)}].orValue('') == {text(placed)}
                """,
                f"Set the annotation {QUEUE_NOTE} to {placed}.",
            ),
            Rule(
                f"""
                {_NOTES}[?{text(QUEUE_NOTE)}].orValue({text(placed)}) == {text(placed)}
                && {_LABELS}[?{text(VOLCANO.queue_label)}].orValue({queue}) == {queue}
                && {_NOTES}[?{text(VOLCANO.queue_label)}].orValue({queue}) == {queue}
                """,
                f"Pods of this virtual cluster run in the queue {enforced.queue}, and in no other.",
            ),
            Rule(
                f"!('volcano.sh/preemptable' in {_NOTES}) && !('volcano.sh/preemptable' in {_LABELS})",
                "Take volcano.sh/preemptable away: whether a pod may be preempted is not its choice.",
            ),
            Rule(
                "!has(object.spec.nodeName)",
                "Leave spec.nodeName out; the gang scheduler chooses the node.",
            ),
        ],
    )  # fmt: skip
