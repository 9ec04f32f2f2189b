"""Chart values, made by pure functions so that equal wishes give equal hashes."""

from typing import Any

from atoll.domain.gangs import capability
from atoll.domain.gcs_store import split_address
from atoll.domain.names import (
    LABEL_MODE,
    LABEL_SHARED_NODE,
    LABEL_VIRTUAL_CLUSTER,
    PRIORITY_GANG,
    PRIORITY_PLAIN,
    RAY_NAMESPACE,
    host_namespace,
)
from atoll.domain.quantities import add_quantities, parse_quantity
from atoll.domain.ray_clusters import mirrored
from atoll.domain.versions import Version, parse_version
from atoll.resources.profiles import Profile
from atoll.resources.virtual_clusters import VirtualCluster
from atoll_worker.reconcile.policies.limits import BOUNDED


def vcluster_values(vc: VirtualCluster, profile: Profile) -> dict[str, Any]:
    """Values of the upstream vcluster chart, for its open-source image.

    Quota, limits and network policy are our own objects: a change of any value here restarts the
    tenant's API server.
    """
    namespace = host_namespace(vc.name)
    service = f"{vc.name}.{namespace}.svc"
    values: dict[str, Any] = {
        "controlPlane": {
            "distro": {
                "k8s": {
                    "image": _kubernetes_image(profile),
                    "resources": _COPYING,
                    "scheduler": {"enabled": vc.spec.mode == "dedicated"},
                    "controllerManager": {"extraArgs": list(_QUICK)},
                    **_mutating_policies(profile),
                }
            },
            "statefulSet": _stateful_set(profile),
            "proxy": {"extraSANs": [service, f"{service}.cluster.local"]},
        },
        "sync": _synced(vc),
        "networking": {
            **_redis_inside(namespace, profile),
            "advanced": {"proxyKubelets": {"byHostname": False, "byIP": False}},
        },
        "exportKubeConfig": {"server": f"https://{service}:443"},
        "experimental": {"syncSettings": {"setOwner": False}},
        "telemetry": {"enabled": False},
    }
    if vc.spec.mode == "shared":
        values["controlPlane"]["coredns"] = {
            "priorityClassName": PRIORITY_PLAIN,
            "deployment": {"resources": _DNS},
        }
    if profile.spec.registry:
        values["controlPlane"]["advanced"] = {"defaultImageRegistry": profile.spec.registry}
    return _merged(values, vc.spec.values)


_QUICK = ("--kube-api-qps=100", "--kube-api-burst=200")
"""Of the controller manager, five times its own: it asks much when it starts, and the rest waits for it."""

_COPYING = {
    "requests": {"cpu": "40m", "memory": "64Mi"},
    "limits": {"cpu": "1", "memory": "256Mi"},
}
"""Of the container that copies Kubernetes' programs before the control plane starts. The chart holds it to a
tenth of a core, at which half a second of work takes six.
"""


def _redis_inside(namespace: str, profile: Profile) -> dict[str, Any]:
    """The Service `redis` inside; an external Redis is reached by its own address."""
    if profile.spec.redis.external:
        return {}
    return {
        "replicateServices": {
            "fromHost": [{"from": f"{namespace}/redis", "to": f"{RAY_NAMESPACE}/redis"}]
        }
    }


def _stateful_set(profile: Profile) -> dict[str, Any]:
    """The control plane's pod: the open image, a volume, what it may use, and quick probes."""
    part = profile.spec.vcluster
    claim: dict[str, Any] = {"enabled": True, "size": part.storage, "retentionPolicy": "Delete"}
    if part.storage_class:
        claim["storageClass"] = part.storage_class
    return {
        "image": {"repository": "loft-sh/vcluster-oss"},
        "persistence": {"volumeClaim": claim},
        "resources": {
            "requests": {"cpu": part.cpu, "memory": part.memory},
            "limits": {"memory": part.memory_limit},
        },
        # The chart asks every 6 s whether it has started; each try is one small request.
        "probes": {
            "startupProbe": {"periodSeconds": 1, "failureThreshold": 600},
            "readinessProbe": {"periodSeconds": 1, "failureThreshold": 120},
        },
    }


def _synced(vc: VirtualCluster) -> dict[str, Any]:
    """What vcluster copies between the host and the virtual cluster."""
    to_host: dict[str, Any] = {
        "pods": {"enabled": True},
        "persistentVolumeClaims": {"enabled": True},
        # A node is released by evicting on the host: the tenant's budgets must be known there.
        "podDisruptionBudgets": {"enabled": True},
    }
    if vc.spec.mode == "shared":
        return _shared_sync(to_host)
    labels = {LABEL_VIRTUAL_CLUSTER: vc.name}
    return {
        "toHost": to_host,
        "fromHost": {"nodes": {"enabled": True, "selector": {"labels": labels}}},
    }


def _shared_sync(to_host: dict[str, Any]) -> dict[str, Any]:
    """Pods are pinned to the shared nodes and get the gang class unless they name the plain one.

    The selector pins also without node sync (vcluster, pods/syncer.go); a pod without a priority class
    gets the one named here (pods/translate/translator.go).
    """
    pods = {"enabled": True, "priorityClassName": PRIORITY_GANG}
    ours = {"matchLabels": {LABEL_MODE: "shared"}}
    return {
        "toHost": {**to_host, "pods": pods},
        "fromHost": {
            "nodes": {"enabled": False, "selector": {"labels": {LABEL_SHARED_NODE: "true"}}},
            "priorityClasses": {"enabled": True, "selector": ours},
        },
    }


def _kubernetes_image(profile: Profile) -> dict[str, str]:
    """The image with the Kubernetes binaries, as the chart wants it: registry apart from the rest."""
    part = profile.spec.kubernetes
    registry, _, repository = mirrored(part.image, profile.spec.registry).partition("/")
    return {"registry": registry, "repository": repository, "tag": f"v{part.version}"}


MUTATING_SINCE = Version(1, 34)
"""The oldest Kubernetes with MutatingAdmissionPolicy, as a beta."""


def _mutating_policies(profile: Profile) -> dict[str, Any]:
    """Kubernetes 1.34 and 1.35 have MutatingAdmissionPolicy as a beta that is off; 1.36 serves it as v1."""
    if parse_version(profile.spec.kubernetes.version) >= Version(1, 36):
        return {}
    if parse_version(profile.spec.kubernetes.version) < MUTATING_SINCE:
        return {}
    arguments = [
        "--feature-gates=MutatingAdmissionPolicy=true",
        "--runtime-config=admissionregistration.k8s.io/v1beta1=true",
    ]
    return {"apiServer": {"extraArgs": arguments}}


def _merged(ours: dict[str, Any], theirs: dict[str, Any]) -> dict[str, Any]:
    """The tenant's extra values under ours: where both speak, ours hold."""
    out = dict(theirs)
    for key, value in ours.items():
        inner = theirs.get(key)
        both = isinstance(value, dict) and isinstance(inner, dict)
        out[key] = _merged(value, inner) if both and isinstance(inner, dict) else value
    return out


def kuberay_values(profile: Profile, *, shared: bool = False) -> dict[str, Any]:
    """Values of the KubeRay operator chart. The batch scheduler is chosen per operator."""
    plain = {"priorityClassName": PRIORITY_PLAIN} if shared else {}
    amounts = {
        "requests": {"cpu": "50m", "memory": "128Mi"},
        "limits": {"memory": "512Mi"},
    }
    image: dict[str, Any] = {"pullPolicy": "IfNotPresent"}
    if profile.spec.registry:
        image["repository"] = f"{profile.spec.registry}/kuberay/operator"
    return {
        "image": image,
        **_own_wait(profile),
        "batchScheduler": {"name": profile.spec.scheduler.name},
        **plain,
        "resources": _fitted(amounts) if shared else amounts,
    }


_DNS = {
    "requests": {"cpu": "20m", "memory": "170Mi"},
    "limits": {"cpu": "1", "memory": "170Mi"},
}
"""Of the DNS of a shared virtual cluster: as vcluster's chart has it, but for the request of memory."""


def _fitted(amounts: dict[str, dict[str, str]]) -> dict[str, dict[str, str]]:
    """Shared mode: the request of memory is its limit, of the platform's own pods inside too."""
    memory = {"memory": amounts["limits"]["memory"]}
    return {**amounts, "requests": {**amounts["requests"], **memory}}


def _own_wait(profile: Profile) -> dict[str, Any]:
    """Workers wait for their head as admission says (`policies.starts`), where it can say so."""
    if parse_version(profile.spec.kubernetes.version) < MUTATING_SINCE:
        return {}
    return {"env": [{"name": "ENABLE_INIT_CONTAINER_INJECTION", "value": "false"}]}


def volcano_definitions() -> dict[str, Any]:
    """Values of the Volcano chart that leave nothing but its definitions, for a shared virtual cluster."""
    off = ("admission_enable", "scheduler_enable", "controller_enable", "sharding_configmap_enable")
    return {"custom": dict.fromkeys(off, False)}


_OWN_PODS = {
    "cpu": "400m", "memory": "1Gi", "pods": "8", "services": "12", "storage": "0",
    "ephemeral-storage": "5Gi",
}  # fmt: skip
"""What DNS, operator, scheduler and a restarting pod of ours may hold, beside what the profile says."""


_OWN_OBJECTS = {
    "count/configmaps": "20", "count/persistentvolumeclaims": "4", "count/pods": "20",
    "count/poddisruptionbudgets.policy": "4", "count/secrets": "100", "count/services": "15",
}  # fmt: skip
"""What the platform itself has there; most Secrets are helm's, one for each revision."""
_SENTINELS = {
    "cpu": "30m", "memory": "96Mi", "pods": "5", "services": "3", "ephemeral-storage": "3Gi",
}  # fmt: skip
"""Three Sentinels; and the pods and Services that three Redis have more than one."""
_MORE_PLAIN = {"cpu": "0", "memory": "768Mi"}
"""Shared mode: what the memory requests of DNS and operator, one of them restarting, grow to their limits."""


def overhead(profile: Profile) -> dict[str, str]:
    """What the platform's own pods of a virtual cluster may hold on top of what the team asked for, so
    that a team's quota is all its own.
    """
    plane, redis = profile.spec.vcluster, profile.spec.redis
    named = {"cpu": plane.cpu, "memory": plane.memory, "storage": plane.storage}
    store = {
        "cpu": "50m", "memory": redis.memory, "storage": redis.storage, "ephemeral-storage": "1Gi",
    }  # fmt: skip
    stores = [] if redis.external else [store] * redis.replicas
    if stores and redis.replicas > 1:
        stores.append(_SENTINELS)
    return add_quantities(_OWN_PODS, _OWN_OBJECTS, named, *stores)


def share_inside(vc: VirtualCluster) -> dict[str, str]:
    """What of the overhead is for the platform's namespaces inside; the control plane and a Redis, which
    are pods of the host's namespace alone, are two of its pods.
    """
    more = _MORE_PLAIN if vc.spec.mode == "shared" else {}
    pods = str(int(_OWN_PODS["pods"]) - 2)
    return add_quantities({**_OWN_PODS, "pods": pods}, more)


CEILINGS = {
    "count/configmaps": 1000, "count/persistentvolumeclaims": 200, "count/pods": 2000,
    "count/poddisruptionbudgets.policy": 500, "count/secrets": 1000, "count/services": 500,
    "services.nodeports": 20,
}  # fmt: skip
"""Most objects that one virtual cluster has on the host, whose etcd, ports and schedulers all teams share.
Pods that wait and pods that have ended count, too. A line of the quota with the same name takes the place."""
_COUNTED_TWICE = {"pods": "count/pods", "services": "count/services"}
"""Lines of a quota that count what a ceiling counts; ended pods are in the ceiling alone."""


def host_quota(vc: VirtualCluster, profile: Profile) -> dict[str, str]:
    """`hard` of the host ResourceQuota: what the quota says, and ceilings for what it does not say."""
    named = _named_quota(vc, profile)
    hard = {resource: str(most) for resource, most in CEILINGS.items()} | named
    for resource, ceiling in _COUNTED_TWICE.items():
        if resource in named and ceiling not in named:
            hard[ceiling] = str(max(CEILINGS[ceiling], 2 * int(parse_quantity(named[resource]))))
    return hard


def _named_quota(vc: VirtualCluster, profile: Profile) -> dict[str, str]:
    """The team's share plus the platform's own overhead.

    In shared mode the host's queue counts what its scheduler places: a ResourceQuota would also count
    the pods of gangs that wait, and so keep out a gang that fits.
    """
    hard: dict[str, str] = {}
    ours = overhead(profile)
    by_queue = capability(vc.spec.quota) if vc.spec.mode == "shared" else {}
    for resource, amount in vc.spec.quota.items():
        if resource in ("virtualclusters", "rayclusters") or resource in by_queue:
            continue
        extra = {resource: ours[resource]} if resource in ours else {}
        total = add_quantities({resource: amount}, extra)[resource]
        plain = resource in ("pods", "services") or (
            "/" in resource and resource.startswith("count/")
        )
        hard[resource if plain else f"requests.{resource}"] = total
    return hard


def plain_quota(vc: VirtualCluster, profile: Profile) -> dict[str, str]:
    """Shared mode: `hard` for pods that the gang scheduler does not place, ours and plain ones."""
    if vc.spec.mode == "dedicated":
        return {}
    ours = add_quantities(overhead(profile), _MORE_PLAIN)
    return {f"requests.{resource}": ours[resource] for resource in ("cpu", "memory")}


def tenant_values(vc: VirtualCluster, profile: Profile, fence: int) -> dict[str, Any]:
    """Values of helm/tenant. The fence is in them for the annotations and is not hashed."""
    return {
        "fence": fence,
        "virtualCluster": vc.name,
        "team": vc.spec.team,
        "quota": {"hard": host_quota(vc, profile), "plain": plain_quota(vc, profile)},
        **_limit_range(vc),
        "redis": _redis_values(profile),
    }


def _limit_range(vc: VirtualCluster) -> dict[str, Any]:
    """Shared mode: on disk too, what a container that says nothing gets is request and limit alike."""
    if vc.spec.mode == "dedicated":
        return {}
    disk = {"ephemeral-storage": BOUNDED["ephemeral-storage"]}
    return {"limitRange": {"defaultRequest": disk, "default": disk}}


def _redis_values(profile: Profile) -> dict[str, Any]:
    """Pods of its own, or the way to an external one."""
    redis = profile.spec.redis
    if redis.external:
        _, port = split_address(redis.external.address)
        return {"enabled": False, "external": {"port": port, "blocks": redis.external.blocks}}
    return {
        "image": mirrored(redis.image, profile.spec.registry),
        "replicas": redis.replicas,
        "memory": redis.memory,
        "storage": redis.storage,
        "storageClass": profile.spec.vcluster.storage_class or "",
    }
