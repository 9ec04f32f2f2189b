"""What the routes of the gateway share; made once per process."""

from dataclasses import dataclass

from fastapi import FastAPI
from starlette.requests import HTTPConnection

from atoll.cluster.client import Cluster
from atoll.gateway.access import AccessStore
from atoll.gateway.connections import Connections
from atoll.gateway.heads import Heads
from atoll.gateway.ray_api import RayApi
from atoll.gateway.tenants import Tenants
from atoll.settings import Settings


@dataclass(frozen=True)
class Parts:
    """The host's API server, the ways into virtual clusters, and the settings."""

    settings: Settings
    host: Cluster
    store: AccessStore
    connections: Connections
    tenants: Tenants
    heads: Heads
    ray: RayApi

    @classmethod
    def of(cls, settings: Settings, host: Cluster) -> "Parts":
        """Put together; `connections.close()` ends them."""
        store = AccessStore(host, settings.access_namespace)
        connections = Connections()
        tenants = Tenants(store, connections)
        heads = Heads(tenants, settings.reach)
        return cls(settings, host, store, connections, tenants, heads, RayApi(heads))


def keep_parts(app: FastAPI, parts: Parts) -> None:
    """Give the parts to the application."""
    app.state.parts = parts


def parts_of(connection: HTTPConnection) -> Parts:
    """The parts of the application that serves this connection."""
    found: Parts = connection.app.state.parts
    return found
