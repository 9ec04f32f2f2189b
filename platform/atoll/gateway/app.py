"""The gateway: the authenticated way into virtual clusters, as a process of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Response

from atoll.body_limit import BodyLimit
from atoll.cluster.client import Cluster
from atoll.gateway import (
    credentials,
    kubernetes,
    problems,
    ray_clusters,
    ray_jobs,
    ray_proxy,
)
from atoll.gateway.observe import Observe
from atoll.gateway.parts import Parts, keep_parts
from atoll.settings import Settings
from atoll.telemetry import metrics

ROUTERS = (credentials, kubernetes, ray_clusters, ray_jobs, ray_proxy)


def create_app(settings: Settings) -> FastAPI:
    """The application; it opens its connections when it starts and closes them when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with Cluster.from_file(settings.kubeconfig) as host:
            parts = Parts.of(settings, host)
            keep_parts(app, parts)
            try:
                yield
            finally:
                await parts.connections.close()

    app = FastAPI(
        title="Atoll gateway",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.settings = settings
    problems.install(app)
    app.add_middleware(BodyLimit, answer=problems.answer)
    app.add_middleware(Observe)
    for part in ROUTERS:
        app.include_router(part.router)
    app.add_api_route("/healthz", _healthz, include_in_schema=False)
    app.add_api_route("/metrics", _metrics, include_in_schema=False)
    return app


async def _healthz() -> dict[str, str]:
    """Alive. Virtual clusters do not count: a broken one must not restart the gateway."""
    return {"status": "ok"}


async def _metrics() -> Response:
    return Response(metrics.page(), media_type=metrics.CONTENT_TYPE)
