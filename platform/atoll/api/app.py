"""The API as an application: routers, problems, the edge, and what runs while it runs."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress

import httpx2
from fastapi import APIRouter, FastAPI
from starlette.requests import HTTPConnection

from atoll import __version__
from atoll.api import (
    docs,
    events,
    forward,
    operations,
    platform,
    problems,
    profiles,
    quota_requests,
    quotas,
    sockets,
    teams,
)
from atoll.api import virtual_clusters as virtual_cluster_routes
from atoll.api.edge import Edge
from atoll.api.openapi import finish
from atoll.application.use_cases import UseCases
from atoll.body_limit import BodyLimit
from atoll.cluster.client import Cluster
from atoll.dispatch import Dispatch
from atoll.settings import Settings

DESCRIPTION = (
    "A virtual Kubernetes cluster for every team, with Ray ready in it. Errors are problem details "
    "(RFC 9457) with a stable `code`; changes of virtual clusters answer 202 with the operation to "
    "follow."
)
_NOUNS = (teams, quotas, quota_requests, profiles, virtual_cluster_routes, operations, events)


def create_app(settings: Settings, *, portal: APIRouter | None = None) -> FastAPI:
    """The application; `portal` is the router of the pages. Parts are made when it starts up."""
    app = FastAPI(
        title="Atoll",
        version=__version__,
        description=DESCRIPTION,
        lifespan=_lifespan(settings),
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        separate_input_output_schemas=False,
        redirect_slashes=False,
    )
    app.state.settings = settings
    for noun in _NOUNS:
        app.include_router(noun.router, prefix="/v1")
    app.include_router(platform.router)
    app.include_router(forward.router)
    app.include_router(sockets.router)
    app.include_router(docs.router)
    if portal is not None:
        app.include_router(portal)
    problems.install(app)
    finish(app)
    app.add_middleware(BodyLimit, answer=lambda scope, e: problems.answer(HTTPConnection(scope), e))
    app.add_middleware(Edge)
    return app


def _trust(url: str) -> ssl.SSLContext | bool:
    """The usual authorities for https; for plain http none, which saves reading them."""
    return True if url.startswith("https:") else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _lifespan(
    settings: Settings,
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def run(app: FastAPI) -> AsyncIterator[None]:
        dispatch = Dispatch(settings)
        async with (
            Cluster.from_file(settings.kubeconfig) as cluster,
            httpx2.AsyncClient(
                base_url=settings.gateway_url,
                timeout=forward.TIMEOUT,
                limits=httpx2.Limits(max_connections=500, max_keepalive_connections=50),
                verify=_trust(settings.gateway_url),
                trust_env=False,
            ) as gateway,
        ):
            cases = UseCases.over(settings, cluster, dispatch)
            app.state.use_cases = cases
            app.state.gateway = gateway
            app.state.health = platform.HealthCheck(cases, gateway)
            running = [
                asyncio.create_task(cases.feed.run()),
                asyncio.create_task(cases.quota_keeper.run()),
                asyncio.create_task(cases.profile_keeper.run()),
            ]
            try:
                yield
            finally:
                cases.feed.close()
                for task in running:
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task
                dispatch.close()

    return run
