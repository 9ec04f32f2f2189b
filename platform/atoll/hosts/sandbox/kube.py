"""A small asynchronous Kubernetes client over plain JSON objects."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from atoll.hosts.sandbox.certificates import Certificates

Obj = dict[str, Any]
_PATCHES = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}


@dataclass(frozen=True)
class Resource:
    """A kind of object: its API group and version, plural name and kind."""

    api: str
    plural: str
    kind: str

    def path(self, namespace: str | None = None, name: str | None = None, sub: str = "") -> str:
        """URL path of a collection or an object."""
        parts = ["api" if "/" not in self.api else "apis", self.api]
        if namespace:
            parts += ["namespaces", namespace]
        parts += [self.plural, *([name] if name else []), *([sub] if sub else [])]
        return "/" + "/".join(parts)


POD = Resource("v1", "pods", "Pod")
NODE = Resource("v1", "nodes", "Node")
SERVICE = Resource("v1", "services", "Service")
SECRET = Resource("v1", "secrets", "Secret")
CONFIG_MAP = Resource("v1", "configmaps", "ConfigMap")
NAMESPACE = Resource("v1", "namespaces", "Namespace")
EVENT = Resource("v1", "events", "Event")
CLAIM = Resource("v1", "persistentvolumeclaims", "PersistentVolumeClaim")
PRIORITY_CLASS = Resource("scheduling.k8s.io/v1", "priorityclasses", "PriorityClass")
VOLUME = Resource("v1", "persistentvolumes", "PersistentVolume")
STORAGE_CLASS = Resource("storage.k8s.io/v1", "storageclasses", "StorageClass")
POD_GROUP = Resource("scheduling.volcano.sh/v1beta1", "podgroups", "PodGroup")
QUEUE = Resource("scheduling.volcano.sh/v1beta1", "queues", "Queue")
RAY_CLUSTER = Resource("ray.io/v1", "rayclusters", "RayCluster")
RAY_JOB = Resource("ray.io/v1", "rayjobs", "RayJob")
RAY_SERVICE = Resource("ray.io/v1", "rayservices", "RayService")


class ApiError(Exception):
    """A refusal of the API server, with its HTTP code and reason."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{code} {reason}: {message}")
        self.code, self.reason, self.message = code, reason, message


class Kube:
    """Talks to one API server as its administrator."""

    def __init__(self, server: str, ca: Path, certificate: tuple[Path, Path]) -> None:
        context = ssl.create_default_context(cafile=str(ca))
        context.load_cert_chain(str(certificate[0]), str(certificate[1]))
        self.server = server
        self._http = httpx2.AsyncClient(
            base_url=server,
            verify=context,
            timeout=httpx2.Timeout(20, connect=3),
            limits=httpx2.Limits(max_connections=None, max_keepalive_connections=8),
            trust_env=False,
        )

    @classmethod
    def of(cls, server: str, certificates: Certificates) -> Kube:
        """A client with the certificates of that server's authority."""
        return cls(server, certificates.ca, certificates.admin)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ready(self) -> bool:
        """Whether /readyz answers ok."""
        try:
            return (await self._http.get("/readyz", timeout=3)).status_code == 200
        except httpx2.HTTPError:
            return False

    async def get(self, kind: Resource, namespace: str | None, name: str) -> Obj | None:
        """One object, None when there is none of that name."""
        try:
            return await self._call("GET", kind.path(namespace, name))
        except ApiError as refusal:
            if refusal.code == 404:
                return None
            raise

    async def list(
        self, kind: Resource, namespace: str | None = None, selector: str = ""
    ) -> tuple[list[Obj], str]:
        """All objects (of a namespace) and the resource version of the list."""
        query = {"labelSelector": selector} if selector else {}
        body = await self._call("GET", kind.path(namespace), query=query)
        items: list[Obj] = body.get("items") or []
        for item in items:
            item.setdefault("kind", kind.kind)
            item.setdefault("apiVersion", kind.api)
        return items, body["metadata"]["resourceVersion"]

    async def watch(
        self, kind: Resource, version: str, namespace: str | None = None, selector: str = ""
    ) -> AsyncIterator[tuple[str, Obj]]:
        """Changes after `version`; ends when the server ends it, ApiError 410 when too old."""
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": "300"}
        query |= {"labelSelector": selector} if selector else {}
        wait = httpx2.Timeout(20, connect=3, read=330)
        path = kind.path(namespace)
        async with self._http.stream("GET", path, params=query, timeout=wait) as answer:
            if answer.status_code >= 400:
                raise ApiError(answer.status_code, "WatchFailed", path)
            async for line in answer.aiter_lines():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    status = event["object"]
                    raise ApiError(status.get("code", 500), status.get("reason", ""), path)
                yield event["type"], event["object"]

    async def create(self, kind: Resource, body: Obj, sub: str = "") -> Obj:
        """Create an object, or post to a subresource of it."""
        meta = body["metadata"]
        path = kind.path(meta.get("namespace"), meta["name"] if sub else None, sub)
        return await self._call("POST", path, {"apiVersion": kind.api, "kind": kind.kind, **body})

    async def bind(self, namespace: str, pod: str, binding: Obj) -> None:
        """Bind a pod to a node."""
        await self._call("POST", POD.path(namespace, pod, "binding"), binding)

    async def post_event(self, body: Obj) -> None:
        """Record an Event; its metadata has a generateName."""
        path = EVENT.path(body["metadata"]["namespace"])
        await self._call("POST", path, {"apiVersion": "v1", "kind": "Event", **body})

    async def ensure(self, kind: Resource, body: Obj) -> Obj | None:
        """Create an object; None when it is there already."""
        try:
            return await self.create(kind, body)
        except ApiError as refusal:
            if refusal.code == 409:
                return None
            raise

    async def apply(self, kind: Resource, body: Obj, sub: str = "") -> Obj:
        """Server-side apply with force, as field manager `atoll-sandbox`."""
        meta = body["metadata"]
        return await self._call(
            "PATCH",
            kind.path(meta.get("namespace"), meta["name"], sub),
            {"apiVersion": kind.api, "kind": kind.kind, **body},
            query={"fieldManager": "atoll-sandbox", "force": "true"},
            content="application/apply-patch+yaml",
        )

    async def patch(
        self,
        kind: Resource,
        namespace: str | None,
        name: str,
        change: Any,
        *,
        sub: str = "",
        form: str = "merge",
    ) -> Obj | None:
        """Change an object; None when it is gone."""
        path = kind.path(namespace, name, sub)
        try:
            return await self._call("PATCH", path, change, content=_PATCHES[form])
        except ApiError as refusal:
            if refusal.code == 404:
                return None
            raise

    async def delete(
        self,
        kind: Resource,
        namespace: str | None,
        name: str,
        *,
        grace: int | None = None,
        uid: str | None = None,
    ) -> None:
        """Delete an object; nothing happens when it is gone (or has another uid)."""
        options: Obj = {"propagationPolicy": "Background"}
        if grace is not None:
            options["gracePeriodSeconds"] = grace
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        try:
            await self._call("DELETE", kind.path(namespace, name), options)
        except ApiError as refusal:
            if refusal.code not in (404, 409):
                raise

    async def _call(
        self,
        method: str,
        path: str,
        body: Any = None,
        query: Mapping[str, str] | None = None,
        content: str = "application/json",
    ) -> Obj:
        answer = await self._http.request(
            method,
            path,
            params=query,
            content=None if body is None else json.dumps(body),
            headers={"Content-Type": content},
        )
        if answer.status_code < 400:
            return dict(answer.json())
        try:
            status = answer.json()
        except ValueError:
            status = {"message": answer.text[:300]}
        raise ApiError(answer.status_code, status.get("reason", ""), status.get("message", ""))
