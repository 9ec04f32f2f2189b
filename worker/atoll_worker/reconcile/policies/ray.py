"""What holds for every RayCluster, RayJob and RayService, whoever makes it and by whatever tool.

Each rule is judged over all pod templates of the workload: head, worker groups, and the submitter of
a RayJob. A workload that is being deleted, and a write that changes nothing of it (a controller's
finalizer), are let through, so that a policy can never hold up what runs.
"""

from collections.abc import Iterator

from atoll.domain.gangs import GROUP_NAME
from atoll.domain.names import ANNOTATION_OVER_QUOTA
from atoll.domain.priorities import PRIORITIES, PRIORITY_LABEL
from atoll.domain.schedulers import VOLCANO
from atoll_worker.reconcile.policies.limits import template_rules
from atoll_worker.reconcile.policies.manifests import (
    OPERATOR,
    PLATFORM,
    Enforced,
    Policy,
    Rule,
    quantity,
    resources,
    text,
    texts,
)
from atoll_worker.reconcile.policies.sizes import (
    cluster_spec,
    size_rules,
    size_variables,
    upgrade_rules,
)

_WORKLOADS = [resources("ray.io", "v1", ["rayclusters", "rayjobs", "rayservices"])]
_ANY_CONTAINER = "(p.spec.containers + p.spec.?initContainers.orValue([]))"
_TOPOLOGY = ("volcano.sh/network-topology-mode", "volcano.sh/network-topology-highest-tier-allowed")
_LABELS = "object.metadata.?labels.orValue({})"
_NOTES = "object.metadata.?annotations.orValue({})"
_HAD_LABELS = _LABELS.replace("object.", "oldObject.", 1)
_HAD_NOTES = _NOTES.replace("object.", "oldObject.", 1)
_CONDITIONS = {
    "not-on-its-way-out": "!has(object.metadata.deletionTimestamp)",
    "says-something-new": f"""
        request.operation == 'CREATE' || object.spec != oldObject.spec
        || {_LABELS} != {_HAD_LABELS} || {_NOTES} != {_HAD_NOTES}
    """,
}
_FORBIDDEN_KEY = f"""
    (k == {text(GROUP_NAME)} || k.startsWith('volcano.sh/')
     || k.contains('.volcano.sh/')) && !(k in {texts([VOLCANO.queue_label, *_TOPOLOGY])})
"""
_NOTE_OF_KUBERAY = f"""
    object.kind == 'RayCluster' && k in {texts([GROUP_NAME, "volcano.sh/task-spec"])}
    && ({PLATFORM} || {OPERATOR}
        || request.operation == 'UPDATE' && {_HAD_NOTES}[?k].orValue('') == {_NOTES}[k])
"""
"""At the RayCluster of a RayJob KubeRay notes its gang (batchscheduler/volcano, populateAnnotations)."""


_ORIGIN = ("ray.io/originated-from-crd", "ray.io/originated-from-cr-name")
"""KubeRay names the PodGroup of a RayCluster or RayJob by them (batchscheduler/volcano,
getAppPodGroupName), and makes none for a RayCluster that says RayJob."""


def mutate_ray(enforced: Enforced) -> Policy:
    """Put the queue's labels on, whatever stood there."""
    pairs = ", ".join(f"{text(label)}: {value}" for label, value in enforced.labels.items())
    return Policy(
        "atoll-ray", _WORKLOADS, dict(list(_CONDITIONS.items())[:1]),
        mutations=[f"Object{{metadata: Object.metadata{{labels: {{{pairs}}}}}}}"],
    )  # fmt: skip


def validate_ray(enforced: Enforced) -> Policy:
    """Everything that a Ray workload must be."""
    rules = [
        *_queue_rules(enforced), *_placement_rules(enforced), *_pod_rules(),
        *_deadlock_rules(), *_count_rules(), *size_rules(enforced),
        *(template_rules() if enforced.shared else ()),
    ]  # fmt: skip
    return Policy("atoll-ray", _WORKLOADS, _CONDITIONS, _variables(enforced), rules)


def warn_of_upgrades(enforced: Enforced) -> Policy:
    """A warning, no refusal: KubeRay upgrades a RayService by a second cluster beside the first."""
    only = [resources("ray.io", "v1", ["rayservices"])]
    variables = size_variables(enforced)
    return Policy(
        "atoll-ray-upgrades", only, _CONDITIONS, variables, list(upgrade_rules(enforced)), warn=True
    )


def _variables(enforced: Enforced) -> dict[str, str]:
    return {
        "cluster": cluster_spec("object"),
        "submitter": _submitter("object"),
        "pods": f"({_templates('variables.cluster')}) + variables.submitter",
        "autoscales": "variables.cluster.?enableInTreeAutoscaling.orValue(false)",
    } | size_variables(enforced)


def _submitter(root: str) -> str:
    return f"""
        {root}.kind == 'RayJob' && has({root}.spec.submitterPodTemplate)
        ? [{root}.spec.submitterPodTemplate] : []
    """


def _templates(cluster: str) -> str:
    return f"""
        {cluster}.?headGroupSpec.hasValue() ? [{cluster}.headGroupSpec.template]
        + {cluster}.?workerGroupSpecs.orValue([]).map(g, g.template) : []
    """


def _queue_rules(enforced: Enforced) -> Iterator[Rule]:
    for label, value in enforced.labels.items():
        yield Rule(
            f"{_LABELS}[?{text(label)}].orValue('') == {value}",
            f"Set the label {label} as the platform does.",
            told=f"""
            'Set the label {label} to ' + {value} + ': Ray workloads run gang-scheduled in their '
            + "team's queue, and in no other."
            """,
        )
    yield Rule(
        f"""
        {_LABELS}.all(k, !({_FORBIDDEN_KEY}))
        && {_NOTES}.all(k, !({_FORBIDDEN_KEY}) || {_NOTE_OF_KUBERAY})
        && variables.pods.all(p,
            p.?metadata.?labels.orValue({{}}).all(k, !({_FORBIDDEN_KEY}))
            && p.?metadata.?annotations.orValue({{}}).all(k, !({_FORBIDDEN_KEY})))
        """,
        "Take away the labels and annotations of volcano.sh and scheduling.k8s.io/group-name: gang, "
        "queue and whether it may be preempted are not a workload's choice.",
    )
    was = f"(request.operation == 'UPDATE' ? {_HAD_LABELS} : {{}})"
    yield Rule(
        f"""
        {PLATFORM} || {OPERATOR}
        || {texts(_ORIGIN)}.all(k, {_LABELS}[?k].orValue('') == {was}[?k].orValue(''))
        """,
        f"Leave the labels {' and '.join(_ORIGIN)} to KubeRay: by them it finds the gang of a RayJob's "
        "Ray cluster.",
    )
    label, queue = enforced.scheduler.queue_label, enforced.scheduler.queue_value(enforced.queue)
    yield Rule(
        f"""
        variables.pods.all(p, p.?metadata.?labels[?{text(label)}].orValue({text(queue)})
            == {text(queue)})
        """,
        f"Take the label {label} off the pod templates, or set it to {queue}.",
    )


def _placement_rules(enforced: Enforced) -> Iterator[Rule]:
    yield Rule(
        f"""
        variables.pods.all(p, p.spec.?schedulerName.orValue('') in ['', {text(enforced.scheduler.name)}])
        """,
        f"Leave schedulerName out of the pod templates (or say {enforced.scheduler.name}): all pods of a "
        "gang go through one scheduler.",
    )
    yield Rule(
        "variables.pods.all(p, !has(p.spec.nodeName))",
        "Leave nodeName out of the pod templates; the gang scheduler chooses. Use nodeSelector or "
        "affinity to name a kind of node.",
    )
    allowed = texts(["", *PRIORITIES])
    yield Rule(
        f"""
        {_LABELS}[?{text(PRIORITY_LABEL)}].orValue('') in {allowed}
        && variables.pods.all(p, p.spec.?priorityClassName.orValue('') in {allowed})
        """,
        f"Priority is one of {', '.join(PRIORITIES)}, by the label {PRIORITY_LABEL}.",
    )
    asked = quantity("c.?resources.?limits[?t.?key.orValue('')]")
    yield Rule(
        f"""
        variables.pods.all(p, p.spec.?tolerations.orValue([]).all(t,
            t.?key.orValue('').startsWith('node.kubernetes.io/')
            || {_ANY_CONTAINER}.exists(c, {asked}.isGreaterThan(quantity('0')))))
        """,
        "A pod template may tolerate the taints node.kubernetes.io/... and those named like a "
        "resource it asks for (nvidia.com/gpu); leave the others out.",
    )


def _pod_rules() -> Iterator[Rule]:
    limits, requests = "c.?resources.?limits", "c.?resources.?requests"
    cpu = f"({limits}[?'cpu'].hasValue() || {requests}[?'cpu'].hasValue())"
    lacking = f"!({cpu} && {limits}[?'memory'].hasValue())"
    yield Rule(
        f"variables.pods.all(p, p.spec.containers.all(c, !({lacking})))",
        "Give every container of the pod templates a limit of memory, and a request or a limit of "
        "cpu. Requests are taken from limits where there are none.",
        told=f"""
        'Give these containers a limit of memory, and a request or a limit of cpu (requests are '
        + 'taken from limits where there are none): ' + variables.pods.map(p,
            p.spec.containers.filter(c, {lacking}).map(c, c.name).join(', '))
            .filter(names, names != '').join(', ')
        """,
    )
    yield Rule(
        f"""
        variables.pods.all(p,
            !p.spec.?hostNetwork.orValue(false) && !p.spec.?hostPID.orValue(false)
            && !p.spec.?hostIPC.orValue(false)
            && p.spec.?volumes.orValue([]).all(v, !has(v.hostPath))
            && {_ANY_CONTAINER}.all(c,
                !c.?securityContext.?privileged.orValue(false)
                && c.?ports.orValue([]).all(n, n.?hostPort.orValue(0) == 0)))
        """,
        "Pods may not use the host: leave hostNetwork, hostPID, hostIPC, hostPath, hostPort and "
        "privileged out of the pod templates.",
    )


def _count_rules() -> Iterator[Rule]:
    """What the worker has suspended for lack of quota (`policies.counts`) it resumes itself."""
    note = text(ANNOTATION_OVER_QUOTA)
    yield Rule(
        f"""
        {PLATFORM} || object.kind != 'RayCluster' || request.operation == 'CREATE'
        || !({note} in {_HAD_NOTES})
        || ({note} in {_NOTES} && object.spec.?suspend.orValue(false))
        """,
        "This Ray cluster is suspended because all Ray clusters of the quota are taken. It goes on by "
        "itself when there is room: delete another, or ask the team owner for more rayclusters.",
    )


def _deadlock_rules() -> Iterator[Rule]:
    yield Rule(
        "object.kind != 'RayJob' || size(object.spec.?clusterSelector.orValue({})) == 0",
        "A RayJob with clusterSelector never starts under gang scheduling. Submit to the running "
        "cluster through Ray's job API instead: atoll ray job submit, or ray job submit --address.",
    )
    yield Rule(
        """
        !variables.autoscales || variables.cluster.?workerGroupSpecs.orValue([]).all(g,
            g.?minReplicas.orValue(0) <= g.?maxReplicas.orValue(2147483647))
        """,
        "minReplicas of a worker group is above its maxReplicas; the gang could never be complete.",
    )
