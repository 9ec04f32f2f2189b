"""A tenant's API server as a worker leaves it, and applications behind a real uvicorn."""

import asyncio
import base64
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
import yaml

from atoll.cluster.client import Cluster
from atoll.errors import ConflictError

ADMIN = "admin-token-of-the-test"
VC = "demo"
SYSTEM = "atoll-system"


@dataclass(frozen=True)
class Site:
    """What the tests use: the gateway's address, and the API server as its admin."""

    url: str
    kubeconfig: Path
    cluster: Cluster

    def client(self, token: str | None = ADMIN, **more: Any) -> httpx2.AsyncClient:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        base = f"{self.url}/v1/virtual-clusters/{VC}"
        return httpx2.AsyncClient(
            base_url=base, headers=headers, timeout=20, trust_env=False, **more
        )


def permissive_crd(kind: str, plural: str) -> dict[str, Any]:
    open_object = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.ray.io"},
        "spec": {
            "group": "ray.io",
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [{
                "name": "v1", "served": True, "storage": True,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {
                    "type": "object", "properties": {"spec": open_object, "status": open_object}}},
            }],
        },
    }  # fmt: skip


def account(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": SYSTEM},
    }


def binding(name: str, role: str, subject: str) -> dict[str, Any]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "name": subject, "namespace": SYSTEM}],
    }


# What the worker grants the gateway inside every virtual cluster, and nothing beyond it.
GATEWAY_ROLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "atoll-gateway"},
    "rules": [
        {"apiGroups": ["ray.io"], "resources": ["*"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["pods", "services", "events"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": [""], "resources": ["pods/log"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["services/proxy"], "verbs": ["*"]},
        {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"],
         "resourceNames": ["owner", "member", "viewer"]},
    ],
}  # fmt: skip

# The built-in role `view` is filled by a controller that does not run here.
VIEWER_ROLE = {
    "apiVersion": "rbac.authorization.k8s.io/v1",
    "kind": "ClusterRole",
    "metadata": {"name": "test-viewer"},
    "rules": [{"apiGroups": ["", "ray.io"], "resources": ["*"], "verbs": ["get", "list", "watch"]}],
}


async def token_of(cluster: Cluster, name: str) -> tuple[str, str]:
    made = await cluster.request(
        "POST",
        f"/api/v1/namespaces/{SYSTEM}/serviceaccounts/{name}/token",
        body={
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 3600},
        },
    )
    status = made.json()["status"]
    return status["token"], status["expirationTimestamp"]


def _server(kubeconfig: Path) -> dict[str, str]:
    server: dict[str, str] = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
    return server


async def access_secret(cluster: Cluster, kubeconfig: Path, vc: str = VC) -> dict[str, Any]:
    token, until = await token_of(cluster, "atoll-gateway")
    server = _server(kubeconfig)
    data = {
        "server": server["server"],
        "ca.crt": base64.b64decode(server["certificate-authority-data"]).decode(),
        "token": token,
        "expires_at": until,
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": f"access-{vc}", "namespace": "atoll-access"},
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()},
    }


PROFILE = {
    "apiVersion": "atoll.dev/v1alpha1",
    "kind": "Profile",
    "metadata": {"name": "mirrored"},
    "spec": {
        "kubernetes": {"version": "1.36.3"},
        "vcluster": {"chart": {"repository": "r", "name": "vcluster", "version": "0.36.1"}},
        "kuberay": {"chart": {"repository": "r", "name": "kuberay-operator", "version": "1.7.0"}},
        "scheduler": {"chart": {"repository": "r", "name": "volcano", "version": "1.15.1"}},
        "ray": {"version": "2.60.0"},
        "registry": "mirror.example",
    },
}


def virtual_cluster(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "atoll.dev/v1alpha1",
        "kind": "VirtualCluster",
        "metadata": {"name": name},
        "spec": {"team": "blue", "profile": "mirrored", "mode": "dedicated"} | spec,
    }


async def furnish(cluster: Cluster, kubeconfig: Path) -> None:
    objects = [
        *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": n}}
          for n in (SYSTEM, "atoll-access", "ray")),
        *(account(n) for n in ("owner", "member", "viewer", "atoll-gateway")),
        GATEWAY_ROLE,
        binding("owner", "cluster-admin", "owner"),
        VIEWER_ROLE,
        binding("viewer", "test-viewer", "viewer"),
        binding("atoll-gateway", "atoll-gateway", "atoll-gateway"),
        permissive_crd("RayCluster", "rayclusters"),
        permissive_crd("RayJob", "rayjobs"),
        PROFILE,
        virtual_cluster(VC, rayClusters=[{"name": "kept"}]),
        virtual_cluster("unready"),
    ]  # fmt: skip
    for one in objects:
        with contextlib.suppress(ConflictError):
            await cluster.create(one)
    for plural in ("rayclusters", "rayjobs"):
        for _ in range(100):
            with contextlib.suppress(Exception):
                await cluster.request("GET", f"/apis/ray.io/v1/{plural}")
                break
            await asyncio.sleep(0.1)
    await cluster.apply(await access_secret(cluster, kubeconfig))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextlib.asynccontextmanager
async def serving(app: Any, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """The application behind a real uvicorn; gives its address."""
    with socket.socket() as listener:
        listener.bind((host, 0))
        config = uvicorn.Config(
            app, log_level="warning", timeout_graceful_shutdown=1, lifespan="on"
        )
        server = uvicorn.Server(config)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            assert not running.done(), running
            await asyncio.sleep(0.01)
        try:
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running
