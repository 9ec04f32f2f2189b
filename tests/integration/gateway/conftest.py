"""A real API server that stands for the host and for one tenant's, and a real gateway before it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atoll.cluster.client import Cluster
from atoll.gateway.app import create_app
from atoll.settings import Settings
from builders.gateway_site import ADMIN, Site, furnish, serving


@pytest.fixture
async def site(api_server: Path) -> AsyncIterator[Site]:
    settings = Settings(kubeconfig=api_server, admin_token=ADMIN, reach="service")
    async with Cluster.from_file(api_server) as cluster:
        await furnish(cluster, api_server)
        async with serving(create_app(settings)) as url:
            yield Site(url, api_server, cluster)
