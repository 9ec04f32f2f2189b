"""The client: one object per noun over one connection."""

from types import TracebackType
from typing import Self

import httpx2

from atoll.client.events import Events
from atoll.client.objects import Objects, parse
from atoll.client.quotas import QuotaRequests, Quotas
from atoll.client.ray_clusters import RayClusters
from atoll.client.ray_jobs import RayJobs
from atoll.client.transport import Transport
from atoll.client.virtual_clusters import VirtualClusters
from atoll.contract.operations import OperationRead
from atoll.contract.platform import Health, WhoAmI
from atoll.contract.profiles import ProfileCreate, ProfileRead
from atoll.contract.teams import TeamCreate, TeamRead


class Atoll:
    """A connection to one API; use as a context manager. Every call raises `atoll.errors`."""

    def __init__(
        self, url: str, token: str | None = None, transport: httpx2.BaseTransport | None = None
    ) -> None:
        self.transport = Transport(url, token, transport)
        self.teams: Objects[TeamRead, TeamCreate] = Objects(self.transport, "teams", TeamRead)
        self.profiles: Objects[ProfileRead, ProfileCreate] = Objects(
            self.transport, "profiles", ProfileRead
        )
        self.quotas = Quotas(self.transport)
        self.quota_requests = QuotaRequests(self.transport)
        self.virtual_clusters = VirtualClusters(self.transport)
        self.ray_clusters = RayClusters(self.transport)
        self.ray_jobs = RayJobs(self.transport)
        self.events = Events(self.transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.transport.close()

    @property
    def url(self) -> str:
        """Address of the API."""
        return self.transport.url

    def operation(self, identity: str) -> OperationRead:
        """Progress of one change. Raises NotFoundError."""
        return parse(OperationRead, self.transport.get(f"operations/{identity}"))

    def whoami(self) -> WhoAmI:
        """Who the token belongs to."""
        return parse(WhoAmI, self.transport.get("whoami"))

    def health(self) -> Health:
        """The parts of the platform and how they are; needs no token."""
        return parse(Health, self.transport.get("health"))
