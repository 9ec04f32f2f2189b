"""Who asks for what of which virtual cluster: the same authorisation as the API's."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection
from structlog.contextvars import bind_contextvars

from atoll.application.callers import Caller, may_see
from atoll.auth import Permission, require
from atoll.auth.permissions import is_permitted
from atoll.auth.tokens import caller_of
from atoll.errors import ForbiddenError, NotFoundError
from atoll.gateway.parts import parts_of
from atoll.resources.virtual_clusters import VirtualCluster

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class AskedVirtualCluster:
    """A virtual cluster that this caller may reach."""

    caller: Caller
    cluster: VirtualCluster

    @property
    def name(self) -> str:
        """Name of the virtual cluster."""
        return self.cluster.name

    @property
    def account(self) -> str:
        """The ServiceAccount inside that fits the caller's role."""
        return "owner" if self.caller.is_admin else "viewer"

    @property
    def kept_ray_clusters(self) -> set[str]:
        """Ray clusters that the virtual cluster's spec asks for."""
        return {cluster.name for cluster in self.cluster.spec.ray_clusters}


def asked_with(permission: Permission) -> Callable[..., Awaitable[AskedVirtualCluster]]:
    """A dependency: the virtual cluster of the route, for a caller with this permission.

    What the caller may not see is not there: NotFoundError.
    """
    allowed = require(permission)

    async def asked(
        vc: str, connection: HTTPConnection, caller: Annotated[Caller, Depends(allowed)]
    ) -> AskedVirtualCluster:
        found = await parts_of(connection).store.virtual_cluster(vc)
        if not may_see(caller, found.spec.team):
            raise NotFoundError(f"There is no virtual cluster {vc!r}.")
        bind_contextvars(virtual_cluster=found.name, team=found.spec.team)
        return AskedVirtualCluster(caller, found)

    return asked


Connecting = Annotated[AskedVirtualCluster, Depends(asked_with("virtual-clusters:connect"))]
ReadingRay = Annotated[AskedVirtualCluster, Depends(asked_with("ray:read"))]
WritingRay = Annotated[AskedVirtualCluster, Depends(asked_with("ray:write"))]


async def _using_ray(asked: ReadingRay, connection: HTTPConnection) -> AskedVirtualCluster:
    if connection.scope.get("method", "GET") not in _SAFE and not is_permitted(
        asked.caller, "ray:write"
    ):
        raise ForbiddenError(f"{asked.caller.name!r} lacks the permission 'ray:write'")
    return asked


UsingRay = Annotated[AskedVirtualCluster, Depends(_using_ray)]
"""Reading or writing, by the method of the request."""


def is_our_token(connection: HTTPConnection, token: str) -> bool:
    """Whether a bearer token is one of Atoll's own, which no tenant's API server may see."""
    return caller_of(parts_of(connection).settings, bearer=token, session=None) is not None
