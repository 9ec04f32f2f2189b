"""Names: what a person may choose, and every name we derive from it. Derived here and nowhere else."""

import re

NAME_LIMIT = 32
"""Longest name of a team or virtual cluster, in characters. vcluster names host objects
`<pod>-x-<namespace>-x-<virtual cluster>`; beyond 63 characters it falls back to hashes, so short
names keep host objects readable."""

_LABEL = re.compile(r"^[a-z]([-a-z0-9]*[a-z0-9])?\Z")
RESERVED = frozenset(
    {"default", "kube-system", "kube-public", "atoll", "atoll-system", "loft", "redis"}
)

LABEL_TEAM = "atoll.dev/team"
LABEL_VIRTUAL_CLUSTER = "atoll.dev/virtual-cluster"
LABEL_NODE_TEMPLATE = "atoll.dev/node-template"
LABEL_STEP = "atoll.dev/step"
LABEL_MODE = "atoll.dev/mode"
LABEL_SHARED_NODE = "atoll.dev/shared"
"""On host nodes that shared virtual clusters run on; their pods are pinned to it."""
LABEL_MANAGED = "app.kubernetes.io/managed-by"
ANNOTATION_FENCE = "atoll.dev/fence"
ANNOTATION_WORKER = "atoll.dev/worker-version"
"""On a writer's Lease: the version of the worker that was the writer last."""
ANNOTATION_VIRTUAL_NAMESPACE = "atoll.dev/virtual-namespace"
ANNOTATION_HASH = "atoll.dev/values-hash"
LABEL_FROM_SPEC = "atoll.dev/from-spec"
"""On Ray clusters that the spec of their virtual cluster asks for."""
ANNOTATION_OVER_QUOTA = "atoll.dev/over-quota"
"""On Ray clusters that are suspended because the quota holds no more of them."""
ANNOTATION_DRAINING = "atoll.dev/draining-since"
"""On a host node that we cordoned to release it: when (RFC 3339). Without it, a cordon is an admin's."""
ANNOTATION_NODES = "atoll.dev/nodes"
"""On a host namespace: the nodes that pods of the virtual cluster may run on, with commas."""
ANNOTATION_PRIORITIES = "atoll.dev/priority-classes"
"""On a host namespace: the host's priority classes that its pods may carry, with commas."""
ANNOTATION_PASSWORD = "atoll.dev/password-version"  # noqa: S105 (a name)
"""On the Secret of a virtual cluster's Redis: which `spec.redisPasswordVersion` its password is of."""
FINALIZER = "atoll.dev/teardown"
FIELD_MANAGER = "atoll"
PRIORITY_GANG = "atoll-gang"
"""Priority class of the host for pods that the host's gang scheduler places; the queue counts them."""
PRIORITY_PLAIN = "atoll-plain"
"""Priority class of the host for a shared virtual cluster's other pods; its namespace's quota counts them."""
MIRROR_STEP = "mirror"
"""Value of the step label on what belongs to the gang mirror."""
ANNOTATION_GANGS = "atoll.dev/gangs"
"""On a host namespace of a shared virtual cluster: whose each gang's name is; see `gangs.written_claims`."""
SYSTEM_NAMESPACE = "atoll-system"
HOST_SCHEDULER_NAMESPACE = "volcano-system"
"""Where we install Volcano on the host when it has none."""
RAY_NAMESPACE = "ray"
"""The namespace inside every virtual cluster where Ray clusters live."""


def name_problem(name: str) -> str | None:
    """Why a name cannot be used, with the rule, or None when it can."""
    if len(name) > NAME_LIMIT:
        return f"{name[:40]!r} has {len(name)} characters; at most {NAME_LIMIT} are allowed"
    if not _LABEL.match(name):
        return (
            f"{name!r} is not a DNS label; use lower-case letters, digits and hyphens, "
            "start with a letter and end with a letter or digit"
        )
    if name in RESERVED:
        return f"{name!r} is reserved; choose another name"
    return None


def host_namespace(virtual_cluster: str) -> str:
    """The namespace on the host that holds everything of one virtual cluster."""
    return f"vc-{virtual_cluster}"


def kubeconfig_secret(virtual_cluster: str) -> str:
    """The Secret in which vcluster exports its admin kubeconfig."""
    return f"vc-{virtual_cluster}"


def lease_name(virtual_cluster: str) -> str:
    """The Lease that makes one worker the writer of one virtual cluster."""
    return f"virtual-cluster-{virtual_cluster}"


def virtual_cluster_of_lease(lease: str) -> str | None:
    """The inverse of `lease_name`; None for a Lease that is no writer's."""
    name = lease.removeprefix(lease_name(""))
    return name if name != lease else None


def access_secret(virtual_cluster: str) -> str:
    """The Secret, in the access namespace, with the gateway's short-lived tenant credential."""
    return f"access-{virtual_cluster}"


def queue_name(team: str) -> str:
    """The scheduler queue of a team."""
    return f"team-{team}"


def host_queue(virtual_cluster: str) -> str:
    """The host scheduler's queue of a shared virtual cluster: called as its namespace, so that a
    policy can compare the two.
    """
    return host_namespace(virtual_cluster)


def mirror_secret(virtual_cluster: str) -> str:
    """The Secret, in the access namespace, with which the gang mirror looks into it."""
    return f"mirror-{virtual_cluster}"


def pod_group_name(ray_cluster: str) -> str:
    """The PodGroup that KubeRay makes for a Ray cluster (KubeRay, batchscheduler/volcano)."""
    return f"ray-{ray_cluster}-pg"
