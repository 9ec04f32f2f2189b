"""Where a virtual cluster's Ray heads keep their state: the address and password of its Redis."""

import base64
import json
from collections.abc import Iterable
from typing import Any

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import NAMESPACE, POD, SECRET, SERVICE
from atoll.domain.gcs_store import split_address
from atoll.errors import PermanentError
from atoll.resources.profiles import ExternalRedis
from atoll.resources.virtual_clusters import VirtualCluster
from atoll.settings import Settings
from atoll_worker.reconcile.ports import External, Instance

REDIS_PODS = {"release": "atoll.redis"}
"""Label of helm/tenant's Redis and Sentinel pods."""
REDIS_SERVICE = {"app.kubernetes.io/component": "gcs-store"}
"""Label of helm/tenant's Services of Redis."""
_REDIS_PORT, _SENTINEL_PORT = 6379, 26379
_SECRET_SECONDS = 4.0
"""Between looks for a Secret that is missing. Nobody watches the platform's Secrets: who may watch one may
read them all, and the follower may read none.
"""
_SANDBOX_PORTS = "sandbox.atoll.dev/ports"
"""Service port -> address on this machine, as JSON; written by the sandbox."""


async def own_instances(host: Cluster, settings: Settings, namespace: str) -> list[Instance]:
    """Every Redis process, by pod address; on a sandbox by what its Service's annotation says."""
    if settings.reach == "kubeconfig":
        service = await host.find(SERVICE, "redis", namespace)
        return played_instances(service)
    return instances_of(await host.items(POD, namespace, labels=REDIS_PODS))


def played_instances(service: Object | None) -> list[Instance]:
    """On a sandbox: the one real process behind the Service `redis`. Pure."""
    notes = (service or {"metadata": {}})["metadata"].get("annotations") or {}
    ports = json.loads(notes.get(_SANDBOX_PORTS, "{}"))
    places = [address.rpartition(":") for address in ports.values()]
    return [Instance("redis-0", host, int(port)) for host, _, port in places]


def instances_of(pods: Iterable[Object]) -> list[Instance]:
    """The processes in these pods, of those that live and have an address. Pure."""
    living = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    return sorted(
        (_instance(pod) for pod in living if (pod.get("status") or {}).get("podIP")),
        key=lambda instance: instance.name,
    )


def _instance(pod: Object) -> Instance:
    sentinel = pod["metadata"]["labels"]["app"] == "redis-sentinel"
    port = _SENTINEL_PORT if sentinel else _REDIS_PORT
    return Instance(pod["metadata"]["name"], pod["status"]["podIP"], port, sentinel)


async def external_access(
    host: Cluster, settings: Settings, vc: VirtualCluster, part: ExternalRedis
) -> External:
    """The external Redis of a profile, with its credentials.

    Raises PermanentError (RedisSecretMissing) while its Secret is not there or lacks a key.
    """
    secret = await host.find(SECRET, part.secret, settings.namespace)
    place = f"{settings.namespace}/{part.secret}"
    data = (secret or {}).get("data") or {}
    lacking = [key for key in ("password", *(["ca.crt"] if part.tls else [])) if not data.get(key)]
    if lacking:
        what = f"lacks the key {' and '.join(lacking)}" if secret else "does not exist"
        raise PermanentError(
            f"Secret {place} with the credentials of Redis {part.address} {what}. Make it with the keys "
            "password, username unless it is default, and ca.crt when it speaks TLS.",
            reason="RedisSecretMissing",
            who="admin",
            recheck=_SECRET_SECONDS,
        )
    platform = await host.get(NAMESPACE, settings.namespace)
    hostname, port = split_address(part.address)
    return External(
        address=part.address,
        host=hostname,
        port=port,
        password=decoded(data, "password"),
        username=decoded(data, "username") if data.get("username") else None,
        authority=decoded(data, "ca.crt") if part.tls else None,
        secret=place,
        each=part.users == "each",
        installation=platform["metadata"]["uid"],
        member=member_of(vc.name, vc.metadata.uid),
    )


def member_of(name: str, uid: str) -> str:
    """What a virtual cluster is called in a Redis that others use too."""
    return f"{name}.{uid}"


def decoded(data: dict[str, Any], key: str) -> str:
    """One value of a Secret's data."""
    return base64.b64decode(data[key]).decode().strip()
