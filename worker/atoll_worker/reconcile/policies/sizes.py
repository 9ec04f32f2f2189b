"""How much a Ray workload asks for at least, in CEL, and that the whole quota can hold it."""

from collections.abc import Iterator, Mapping

from atoll.domain.quantities import parse_quantity
from atoll_worker.reconcile.policies.manifests import Enforced, Rule, quantity, text


def cluster_spec(root: str) -> str:
    """The RayCluster's spec, wherever the workload keeps it; an empty one when it has none."""
    return f"""
        {root}.kind == 'RayJob' ? {root}.spec.?rayClusterSpec.orValue({{}})
        : ({root}.kind == 'RayService' ? {root}.spec.?rayClusterConfig.orValue({{}}) : {root}.spec)
    """


def size_variables(enforced: Enforced) -> dict[str, str]:
    """`asked_<resource>` of the workload, and `had_<resource>` of what it was before this write."""
    return {
        f"{which}_{_word(resource)}": _total(root, resource, _extra(enforced, resource))
        for resource in _counted(enforced)
        for which, root in (("asked", "object"), ("had", "oldObject"))
    }


def _counted(enforced: Enforced) -> list[str]:
    """Resources whose total a workload states itself."""
    named = ("cpu", "memory", "ephemeral-storage")
    return [r for r in sorted(enforced.quota) if r in named or ("/" in r and "count/" not in r)]


def _word(resource: str) -> str:
    return "".join(ch if ch.isalnum() else "_" for ch in resource)


_EXTRA = {
    "cpu": {"autoscaler": "500m", "submitter": "500m"},
    "memory": {"autoscaler": "512Mi", "submitter": "200Mi"},
}
"""Requests of what KubeRay adds: the autoscaler in the head's pod, the default submitter of a RayJob
(KubeRay 1.7, common/pod.go and common/job.go)."""
_SUBMITTER_LIMIT = "1Gi"
"""Memory limit of the default submitter, which in shared mode is its request (`policies.limits`)."""


def _extra(enforced: Enforced, resource: str) -> dict[str, float]:
    extra = dict(_EXTRA.get(resource, {}))
    if enforced.shared and resource == "memory":
        extra["submitter"] = _SUBMITTER_LIMIT
    return {part: float(parse_quantity(amount)) for part, amount in extra.items()}


def _amount(container: str, resource: str) -> str:
    """What a container asks for, as a number; its limit counts where it has no request."""
    parts = [
        f"{container}.?resources.?{part}[?{text(resource)}]" for part in ("requests", "limits")
    ]
    return f"{quantity(f'{parts[0]}.or({parts[1]})')}.asApproximateFloat()"


def _template(template: str, resource: str) -> str:
    return f"{template}.spec.containers.map(c, {_amount('c', resource)}).sum()"


def _total(root: str, resource: str, extra: Mapping[str, float]) -> str:
    """What the gang of a workload asks for at least: head, workers (autoscaled: the least number),
    autoscaler and submitter. 0 where there was none before.
    """
    cluster = f"({cluster_spec(root)})"
    scaled = f"{cluster}.?enableInTreeAutoscaling.orValue(false)"
    least = "int(g.?minReplicas.orValue(0))"
    count = f"({scaled} ? {least} : [int(g.?replicas.orValue(0)), {least}].max())"
    job = f"""
        ({root}.kind != 'RayJob' || {root}.spec.?submissionMode.orValue('K8sJobMode') != 'K8sJobMode'
         ? 0.0 : (has({root}.spec.submitterPodTemplate)
         ? {_template(f"{root}.spec.submitterPodTemplate", resource)}
         : {extra.get("submitter", 0.0)}))
    """
    missing = "request.operation == 'CREATE' || " if root == "oldObject" else ""
    return f"""
        {missing}!{cluster}.?headGroupSpec.hasValue() ? 0.0 :
        {_template(f"{cluster}.headGroupSpec.template", resource)}
        + ({scaled} ? {extra.get("autoscaler", 0.0)} : 0.0) + {job}
        + {cluster}.?workerGroupSpecs.orValue([]).map(g, double({count})
            * double(g.?numOfHosts.orValue(1)) * {_template("g.template", resource)}).sum()
    """


def size_rules(enforced: Enforced) -> Iterator[Rule]:
    """Larger than the whole quota: it would wait for ever. What does not grow is never refused."""
    for resource in _counted(enforced):
        limit, word = enforced.quota[resource], _word(resource)
        asked = f"variables.asked_{word}"
        shown = f"string({asked})"
        if resource in ("memory", "ephemeral-storage"):
            shown = f"string(int({asked} / 1048576.0)) + 'Mi'"
        yield Rule(
            f"{asked} <= {float(parse_quantity(limit))} || {asked} <= variables.had_{word}",
            f"Its gang asks for more {resource} than the whole quota ({limit}) and would wait for "
            "ever.",
            told=f"""
            'Its gang asks for ' + {shown} + ' {resource}, with what KubeRay adds; the whole quota of '
            + 'virtual cluster {enforced.virtual_cluster} is {limit}, so it would wait for ever. '
            + 'Ask for less, or ask the team owner for a larger quota.'
            """,
        )


def upgrade_rules(enforced: Enforced) -> Iterator[Rule]:
    """Twice the gang must fit, or the new cluster of an upgrade waits for the old one for ever."""
    in_place = "object.spec.?upgradeStrategy.?type.orValue('NewCluster') == 'None'"
    if parse_quantity(enforced.quota.get("rayclusters", "2")) < 2:
        yield Rule(
            in_place,
            "An upgrade of this RayService runs a new Ray cluster beside the old one, and the quota holds "
            f"{enforced.quota['rayclusters']}: the upgrade would wait for ever. Set "
            "spec.upgradeStrategy.type to None, or ask the team owner for more rayclusters.",
        )
    for resource in _counted(enforced):
        limit = enforced.quota[resource]
        yield Rule(
            f"""
            {in_place}
            || 2.0 * variables.asked_{_word(resource)} <= {float(parse_quantity(limit))}
            """,
            "An upgrade of this RayService runs the new cluster beside the old one, and twice its "
            f"{resource} is more than the quota ({limit}): the upgrade would wait for ever. Set "
            "spec.upgradeStrategy.type to None, or ask for less.",
        )
