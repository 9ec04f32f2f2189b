"""Ray heads of an external Redis with TLS are handed the authority of its certificate.

Ray checks the certificate against the file that RAY_REDIS_CA_CERT names and, without one, believes none
(redis_context.cc). The authority stands in the Secret with the head's password; its file is mounted
from there into heads and into KubeRay's clean-up pods, which speak to Redis as the head did.
"""

from atoll_worker.reconcile.policies.manifests import Policy, resources, text, texts

FOLDER = "/etc/atoll-redis"
VARIABLE = "RAY_REDIS_CA_CERT"
_NAME = "atoll-redis-authority"
_FIRST = "object.spec.containers[0]"
_ENV = f"{_FIRST}.?env.orValue([])"
_PASSWORD = "REDIS_PASSWORD"  # noqa: S105 (a name)
_SECRET = f"{_ENV}.filter(e, e.name == {text(_PASSWORD)})[0].valueFrom.secretKeyRef.name"


def mutate_store_authority() -> Policy:
    """Mount the authority and name its file, in pods whose Redis address begins with `rediss:`."""
    volume = f"""Object.spec.volumes{{
        name: {text(_NAME)},
        secret: Object.spec.volumes.secret{{secretName: {_SECRET}}}}}"""
    one = "Object.spec.containers"
    mount = f"""{one}.volumeMounts{{
        name: {text(_NAME)}, mountPath: {text(f"{FOLDER}/ca.crt")}, subPath: 'ca.crt', readOnly: true}}"""
    variable = f"{one}.env{{name: {text(VARIABLE)}, value: {text(f'{FOLDER}/ca.crt')}}}"
    return Policy(
        _NAME, [resources("", "v1", ["pods"], "CREATE")],
        conditions={
            "a-head-or-its-clean-up":
                "object.metadata.?labels[?'ray.io/node-type'].orValue('') in "
                + texts(("head", "redis-cleanup")),
            "redis-speaks-tls":
                f"{_ENV}.exists(e, e.name == 'RAY_REDIS_ADDRESS' "
                "&& e.?value.orValue('').startsWith('rediss:'))",
            "its-password-is-ours":
                f"{_ENV}.exists(e, e.name == {text(_PASSWORD)} "
                "&& e.?valueFrom.?secretKeyRef.?name.hasValue())",
            "not-yet-handed-over": f"!{_ENV}.exists(e, e.name == {text(VARIABLE)})",
        },
        tenants_only=True,
        patches=[
            f"""
            {_appended("/spec/volumes", "has(object.spec.volumes)", volume)}
            + {_appended(
                "/spec/containers/0/volumeMounts", f"has({_FIRST}.volumeMounts)", mount
            )}
            + {_appended("/spec/containers/0/env", f"has({_FIRST}.env)", variable)}
            """
        ],
    )  # fmt: skip


def _appended(path: str, there: str, value: str) -> str:
    """The list first, then into it: a list of objects as a value panics in Kubernetes 1.36."""
    return f"""
        ({there} ? [] : [JSONPatch{{op: 'add', path: {text(path)}, value: []}}])
        + [JSONPatch{{op: 'add', path: {text(path + "/-")}, value: {value}}}]
    """
