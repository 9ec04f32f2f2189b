"""Workers of Ray wait for their head by a look at its port.

KubeRay's own init container runs `ray health-check` at a fifth of a core until it succeeds: each try
imports all of Ray, which takes ten seconds at that share and is lost when the head comes up meanwhile.
Where the API server can mutate, KubeRay is told to leave it out (`kuberay_values`) and this one, under
the same name, opens the head's port instead, five times a second.
"""

from atoll_worker.reconcile.policies.manifests import Policy, resources, text, texts

NAME = "wait-gcs-ready"
"""KubeRay's name for it; its way of handing over tokens looks for that name."""
_SCRIPT = "until (exec 3<>/dev/tcp/$FQ_RAY_IP/$RAY_PORT) 2>/dev/null; do sleep 0.2; done"
_ENV = "object.spec.containers[0].?env.orValue([])"
_ASKED = ("FQ_RAY_IP", "RAY_PORT")


def mutate_starts() -> Policy:
    """Put the init container into pods of Ray workers that have none of that name.

    A pod that cannot be changed starts without it: Ray then tries to connect, and starts again.
    """
    known = f"{_ENV}.filter(e, e.name in {texts(_ASKED)} && has(e.value))"
    path, wait = "/spec/initContainers", _container()
    return Policy(
        "atoll-ray-starts", [resources("", "v1", ["pods"], "CREATE")],
        conditions={
            "a-worker-of-ray":
                "object.metadata.?labels[?'ray.io/node-type'].orValue('') == 'worker'",
            "knows-its-head": f"{known}.size() == {len(_ASKED)}",
            "does-not-wait-yet":
                f"!object.spec.?initContainers.orValue([]).exists(c, c.name == {text(NAME)})",
        },
        tenants_only=True, optional=True,
        patches=[
            # The list first, then into it: a list of objects as a value panics in Kubernetes 1.36.
            f"""
            (has(object.spec.initContainers) ? []
             : [JSONPatch{{op: 'add', path: '{path}', value: []}}])
            + [JSONPatch{{op: 'add', path: '{path}/-', value: {wait}}}]
            """
        ],
    )  # fmt: skip


def _copied(one: str, name: str) -> str:
    value = f"{_ENV}.filter(e, e.name == {text(name)})[0].value"
    return f"{one}.env{{name: {text(name)}, value: {value}}}"


def _container() -> str:
    one = "Object.spec.initContainers"
    return f"""
        {one}{{
            name: {text(NAME)},
            image: object.spec.containers[0].image,
            imagePullPolicy: object.spec.containers[0].?imagePullPolicy.orValue('IfNotPresent'),
            command: ['/bin/bash', '-c', {text(_SCRIPT)}],
            env: [{", ".join(_copied(one, name) for name in _ASKED)}],
            resources: {one}.resources{{
                requests: {{'cpu': '50m', 'memory': '64Mi'}},
                limits: {{'cpu': '200m', 'memory': '64Mi'}}}},
            securityContext: {one}.securityContext{{
                allowPrivilegeEscalation: false,
                capabilities: {one}.securityContext.capabilities{{drop: ['ALL']}}}}}}
    """
