"""The way to a Ray head: through the virtual cluster's API server, or straight on (sandbox)."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx2

from atoll.domain.names import RAY_NAMESPACE
from atoll.domain.ray_clusters import DASHBOARD_PORT, head_service
from atoll.errors import AtollError, NotFoundError, UnavailableError
from atoll.gateway.tenants import Tenants, bearer, kubernetes_error
from atoll.settings import Reach

ENDPOINT_ANNOTATION = "sandbox.atoll.dev/endpoint"
_LOOPBACK = re.compile(r"^127\.0\.0\.1:([1-9]\d{0,4})$")


@dataclass(frozen=True)
class Head:
    """Ray's HTTP address of one cluster: paths are put after `base`."""

    virtual_cluster: str
    cluster: str
    base: str
    client: httpx2.AsyncClient = field(repr=False)
    headers: dict[str, str] = field(repr=False)

    @property
    def what(self) -> str:
        """What errors call it."""
        return f"The head of Ray cluster {self.cluster!r}"

    def refused(self, answer: httpx2.Response) -> AtollError | None:
        """An error when the answer is the API server's on the way, not Ray's; the body was read."""
        if "json" not in answer.headers.get("content-type", ""):
            return None
        try:
            body = answer.json()
        except ValueError:
            return None
        if not isinstance(body, dict) or body.get("kind") != "Status" or "apiVersion" not in body:
            return None
        error = kubernetes_error(answer, self.what)
        if answer.status_code == 404 and (body.get("details") or {}).get("kind") != "services":
            return None
        if isinstance(error, NotFoundError):
            return NotFoundError(f"{self.what} is not there (yet): {body.get('message')}")
        return UnavailableError(f"{self.what} cannot be reached: {body.get('message')}")


class Heads:
    """Every Ray head, by virtual cluster and name."""

    def __init__(self, tenants: Tenants, reach: Reach) -> None:
        self._tenants = tenants
        self._reach = reach

    @asynccontextmanager
    async def reach(
        self, virtual_cluster: str, cluster: str, namespace: str = RAY_NAMESPACE
    ) -> AsyncIterator[Head]:
        """The head, with connections that stay open until the block ends.

        The API server's Service proxy needs no network way from us to pods, and lets the virtual
        cluster's own roles decide. Names must have been validated: they become part of a path.
        """
        direct = await self._endpoint(virtual_cluster, cluster, namespace)
        if direct:
            async with self._tenants.connections.use_plain(direct) as client:
                yield Head(virtual_cluster, cluster, direct, client, {})
            return
        async with self._tenants.connection(virtual_cluster) as (access, client):
            path = _service_path(cluster, namespace)
            base = f"{access.server}{path}:{DASHBOARD_PORT}/proxy"
            yield Head(virtual_cluster, cluster, base, client, bearer(access))

    async def _endpoint(self, virtual_cluster: str, cluster: str, namespace: str) -> str | None:
        """Where the sandbox put the head on this machine; nothing but a loopback address counts."""
        if self._reach != "kubeconfig":
            return None
        try:
            service = await self._tenants.call(
                virtual_cluster, "GET", _service_path(cluster, namespace)
            )
        except NotFoundError as error:
            raise NotFoundError(
                f"The head of Ray cluster {cluster!r} is not there (yet): {error.detail}"
            ) from None
        annotations = service["metadata"].get("annotations") or {}
        found = _LOOPBACK.match(annotations.get(ENDPOINT_ANNOTATION, ""))
        if not found or int(found[1]) > 65535:
            return None
        return f"http://127.0.0.1:{found[1]}"


def _service_path(cluster: str, namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/services/{head_service(cluster)}"
