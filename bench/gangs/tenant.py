"""What Atoll puts into a dedicated virtual cluster around its gangs: the queue and the admission."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from bench.gangs.load import SPACE
from bench.gangs.volcano import definitions

from atoll.cluster import kinds
from atoll.cluster.client import Cluster, Object
from atoll.domain.names import queue_name
from atoll.domain.queue_shares import queue_share
from atoll.domain.schedulers import VOLCANO
from atoll.errors import AtollError
from atoll.hosts.sandbox import charts
from atoll_worker.reconcile.policies.everything import policy_manifests
from atoll_worker.reconcile.policies.manifests import Enforced
from atoll_worker.reconcile.schedulers import ADAPTERS
from atoll_worker.reconcile.schedulers.policies import gang_policies, queue_rule

TEAM = "bench"
QUEUE = queue_name(TEAM)
_OWNER, _SECONDS = "owner", 300.0


async def furnish(cluster: Cluster, bundle: Path, room: int) -> None:
    """Kinds, queue, admission, and an account of a team's owner, on a bare API server.

    `room`: the virtual cluster's quota, in thousandths of a core. Returns when the policies hold; the
    queue is opened later, by Volcano's controller.
    """
    for definition in [*definitions(bundle), *_ray_definitions()]:
        await cluster.apply(definition)
    for kind in (kinds.QUEUE, kinds.POD_GROUP, kinds.RAY_CLUSTER):
        await comes(partial(_served, cluster, kind), f"{kind.plural} are served")
    await cluster.apply(_meta("v1", "Namespace", SPACE))
    await _account(cluster, "default")
    adapter, quota = ADAPTERS[VOLCANO.name], {"cpu": f"{room}m"}
    await cluster.apply(adapter.queue_spec(QUEUE, queue_share(quota), {}))
    rules = queue_rule(adapter.facts, QUEUE)
    enforced = Enforced(QUEUE, TEAM, rules, quota, adapter.facts, "v1")
    gang = gang_policies(adapter.facts, QUEUE, {}, mutate=True)
    for manifest in [*policy_manifests(enforced, {}), *gang]:
        await cluster.apply(manifest)
    await comes(lambda: _holds(cluster), "the admission policies hold")


async def owner(cluster: Cluster) -> dict[str, Any]:
    """The kubeconfig, less the server, of a team's owner: an administrator by a role, not the platform."""
    await _account(cluster, _OWNER)
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    subject = {"kind": "ServiceAccount", "name": _OWNER, "namespace": SPACE}
    binding = _meta("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", _OWNER)
    await cluster.apply({**binding, "roleRef": role, "subjects": [subject]})
    ask = {
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"expirationSeconds": 4 * 3600},
    }  # fmt: skip
    path = f"api/v1/namespaces/{SPACE}/serviceaccounts/{_OWNER}/token"
    answer = (await cluster.request("POST", path, body=ask)).json()
    return {"token": answer["status"]["token"]}


def as_owner(kubeconfig: Path, user: dict[str, Any]) -> dict[str, Any]:
    """The site's kubeconfig with this user instead of its administrator."""
    config: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())
    config["users"][0]["user"] = user
    return config


async def opened(cluster: Cluster) -> bool:
    """Whether Volcano lets gangs into the queue."""
    status = (await cluster.get(kinds.QUEUE, QUEUE)).get("status") or {}
    return status.get("state") == "Open"


async def comes(so: Callable[[], Awaitable[bool]], what: str) -> None:
    """Return as soon as `so` is true; TimeoutError, naming it, when it never is."""
    deadline = time.monotonic() + _SECONDS
    while not await so():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {_SECONDS:.0f} s still not: {what}")
        await asyncio.sleep(0.1)


async def _served(cluster: Cluster, kind: kinds.Kind) -> bool:
    try:
        await cluster.items(kind)
    except AtollError:
        return False
    return True


async def _holds(cluster: Cluster) -> bool:
    """Whether a PodGroup and a pod that say nothing come out as they must."""
    meta = {"name": "try", "namespace": SPACE}
    group = {
        "apiVersion": kinds.POD_GROUP.api_version, "kind": "PodGroup", "metadata": meta,
        "spec": {"minMember": 1},
    }  # fmt: skip
    pod = {
        "apiVersion": "v1", "kind": "Pod", "metadata": meta,
        "spec": {"containers": [{"name": "c", "image": "none"}]},
    }  # fmt: skip
    try:
        made = await cluster.create(group, dry_run=True), await cluster.create(pod, dry_run=True)
    except AtollError:
        return False
    queue, scheduler = made[0]["spec"].get("queue"), made[1]["spec"]["schedulerName"]
    return (queue, scheduler) == (QUEUE, VOLCANO.name)


async def _account(cluster: Cluster, name: str) -> None:
    """No controller makes the default account here, and no pod is let in without one."""
    account = _meta("v1", "ServiceAccount", name)
    account["metadata"]["namespace"] = SPACE
    await cluster.apply(account)


def _meta(version: str, kind: str, name: str) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}}


def _ray_definitions() -> Iterator[Object]:
    folder = charts.SOURCES / "kuberay-operator" / "crds"
    for file in sorted(folder.iterdir()):
        yield yaml.safe_load(file.read_text())
