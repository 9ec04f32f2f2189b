"""Shared mode: a container may use as much memory and disk as it requests, and no more (decision 0036).

The queue counts requests and the scheduler keeps them free; what is used beyond them is taken from the
neighbours on the node, which are other teams'. The host's policy `atoll-shared-pods` holds the same.
"""

from collections.abc import Iterator

from atoll_worker.reconcile.policies.manifests import Policy, Rule, quantity, resources, text

BOUNDED = {"memory": "128Mi", "ephemeral-storage": "1Gi"}
"""Resources of which a container's limit is its request, and what one has that says nothing."""
_PODS = [resources("", "v1", ["pods"], "CREATE")]
_NAME = "atoll-shared-limits"
_POD_LEVEL = "in a shared virtual cluster each container says for itself what it may use."


def mutate_limits() -> Policy:
    """Make the request as large as the limit, and put in a limit where there is none."""
    parts = ", ".join(f"{part}: {_fitted(part)}" for part in ("containers", "initContainers"))
    return Policy(
        _NAME, _PODS, tenants_only=True,
        mutations=[f"Object{{spec: Object.spec{{{parts}}}}}"],
    )  # fmt: skip


def _fitted(part: str) -> str:
    one = f"Object.spec.{part}"
    amounts = ", ".join(
        f"{text(r)}: string({_of('limits', r)}.orValue({_of('requests', r)}.orValue({text(none)})))"
        for r, none in BOUNDED.items()
    )
    return f"""
        object.spec.?{part}.orValue([]).map(c, {one}{{
            name: c.name,
            resources: {one}.resources{{requests: {{{amounts}}}, limits: {{{amounts}}}}}}})
    """


def validate_limits() -> Policy:
    """Where the API server cannot mutate, a pod must say so itself."""
    disk = "ephemeral-storage"
    silent = f"!{_of('limits', disk)}.hasValue() && !{_of('requests', disk)}.hasValue()"
    unfit = {"memory": _unfit("memory"), disk: f"!({silent}) && ({_unfit(disk)})"}
    return Policy(
        _NAME, _PODS, tenants_only=True, variables={"pods": "[object]"},
        rules=[*(_rule(*item) for item in unfit.items()), _pod_level_rule("the pod")],
    )  # fmt: skip


def template_rules() -> Iterator[Rule]:
    """The same for pod templates; what they leave out is put into their pods."""
    for resource in BOUNDED:
        both = f"{_of('limits', resource)}.hasValue() && {_of('requests', resource)}.hasValue()"
        yield _rule(resource, f"{both} && ({_unfit(resource)})")
    yield _pod_level_rule("the pod templates")


def _rule(resource: str, unfit: str) -> Rule:
    containers = "(p.spec.containers + p.spec.?initContainers.orValue([]))"
    told = (
        f"In a shared virtual cluster a container may use as much {resource} as it requests, for the rest "
        f"of a node is other teams'. Give limits and requests of {resource} the same amount above 0"
    )
    return Rule(
        f"variables.pods.all(p, !{containers}.exists(c, {unfit}))",
        f"{told}.",
        told=f"""
        {text(told + ", in ")} + variables.pods.map(p,
            {containers}.filter(c, {unfit}).map(c, c.name).join(', '))
            .filter(names, names != '').join(', ')
        """,
    )


def _pod_level_rule(whose: str) -> Rule:
    return Rule(
        "variables.pods.all(p, !has(p.spec.resources))",
        f"Leave spec.resources of {whose} out: {_POD_LEVEL}",
    )


def _of(part: str, resource: str) -> str:
    return f"c.?resources.?{part}[?{text(resource)}]"


def _unfit(resource: str) -> str:
    """CEL: whether the limit is another amount than the request, or none: to a runtime 0 is no limit."""
    limit, request = (quantity(_of(part, resource)) for part in ("limits", "requests"))
    return f"{limit}.compareTo({request}) != 0 || !{limit}.isGreaterThan(quantity('0'))"
