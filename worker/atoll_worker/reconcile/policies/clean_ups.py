"""KubeRay's Job that removes a deleted cluster's keys must not wait behind the queue it makes room in; the
platform's own share of the quota has room for it.

Its pod is known by a label that anybody can write, so two things must be true that nobody can: the pod is
made by the controller of Jobs, and a Job with that label by KubeRay.
"""

from atoll_worker.reconcile.policies.manifests import (
    OPERATOR,
    PLATFORM,
    Policy,
    Rule,
    quantity,
    resources,
    text,
    texts,
)

_TYPE = "?metadata.?labels[?'ray.io/node-type'].orValue('')"
_KIND = text("redis-cleanup")
_JOB_CONTROLLERS = texts(
    ["system:serviceaccount:kube-system:job-controller", "system:kube-controller-manager"]
)
"""With an account of its own, as vcluster has it, or as one with the other controllers."""
_MOST = {"cpu": "200m", "memory": "256Mi"}
"""What KubeRay asks for (1.7, raycluster_controller.go)."""


def clean_up_pod() -> str:
    """CEL: whether a pod is one of KubeRay's clean-up, and small enough for the platform's share."""
    asked = "c.?resources.?requests"
    few = " && ".join(
        f"{quantity(f'{asked}[?{text(r)}]')}.compareTo(quantity('{most}')) <= 0"
        for r, most in _MOST.items()
    )
    known = texts([*_MOST, "ephemeral-storage"])
    return f"""
        object.{_TYPE} == {_KIND} && request.userInfo.username in {_JOB_CONTROLLERS}
        && object.metadata.?ownerReferences.orValue([]).exists(o,
            o.kind == 'Job' && o.apiVersion.startsWith('batch/') && o.?controller.orValue(false))
        && !has(object.spec.resources) && object.spec.containers.size() == 1
        && (object.spec.containers + object.spec.?initContainers.orValue([])).all(c,
            {asked}.orValue({{}}).all(r, r in {known}) && {few}
            && c.?restartPolicy.orValue('') != 'Always')
    """


def validate_clean_ups() -> Policy:
    """A Job is made with the label, or given it while it is suspended, by KubeRay alone."""
    before = f"oldObject.spec.template.{_TYPE}"
    return Policy(
        "atoll-clean-ups", [resources("batch", "v1", ["jobs"])],
        conditions={
            "becomes-a-clean-up": f"""
                object.spec.template.{_TYPE} == {_KIND}
                && (request.operation == 'CREATE' || {before} != {_KIND})
            """
        },
        rules=[
            Rule(
                f"{PLATFORM} || {OPERATOR}",
                "Take the label ray.io/node-type: redis-cleanup off the Job's template: it is that of "
                "KubeRay's own clean-up, which does not wait in the queue.",
            )
        ],
    )  # fmt: skip
