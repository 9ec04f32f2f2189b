"""Virtual clusters as the gateway itself talks to them: short calls with its own token."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from atoll.cluster.client import translate_answer
from atoll.errors import AtollError, NotFoundError, UnavailableError
from atoll.gateway.access import Access, AccessStore
from atoll.gateway.connections import Connections

Object = dict[str, Any]
UNKNOWN_KIND = "could not find the requested resource"
"""What API servers say of a kind they do not serve (apimachinery, NewGenericServerResponse)."""
_SHORT = httpx2.Timeout(10.0, connect=3.0)


class Tenants:
    """Every virtual cluster, by name."""

    def __init__(self, store: AccessStore, connections: Connections) -> None:
        self.store = store
        self.connections = connections

    async def call(
        self,
        virtual_cluster: str,
        method: str,
        path: str,
        *,
        body: Object | None = None,
        params: dict[str, str] | None = None,
        what: str | None = None,
    ) -> Object:
        """One short call to the API server inside; raises our errors in that server's words."""
        answer = await self._send(virtual_cluster, method, path, body, params)
        if answer.status_code == 401:
            # The token was replaced or taken back since we read it: read it again, once.
            self.store.forget(virtual_cluster)
            answer = await self._send(virtual_cluster, method, path, body, params)
        if answer.is_error:
            raise kubernetes_error(answer, what or path)
        found: Object = answer.json()
        return found

    async def _send(
        self, name: str, method: str, path: str, body: Object | None, params: dict[str, str] | None
    ) -> httpx2.Response:
        access = await self.store.access(name)
        async with self.connections.use(access) as client:
            try:
                return await client.request(
                    method,
                    f"{access.server}{path}",
                    json=body,
                    params=params,
                    headers=bearer(access),
                    timeout=_SHORT,
                )
            except httpx2.HTTPError as error:
                raise UnavailableError(
                    f"The Kubernetes API of virtual cluster {name!r} does not answer "
                    f"({type(error).__name__}). Try again in a moment."
                ) from error

    @asynccontextmanager
    async def connection(
        self, virtual_cluster: str
    ) -> AsyncIterator[tuple[Access, httpx2.AsyncClient]]:
        """The credential and the pool, for streams; the pool stays open until the block ends."""
        access = await self.store.access(virtual_cluster)
        async with self.connections.use(access) as client:
            yield access, client


def bearer(access: Access) -> dict[str, str]:
    """The header that makes a call the gateway's own."""
    return {"authorization": f"Bearer {access.token}"}


def kubernetes_error(answer: httpx2.Response, what: str) -> AtollError:
    """Our error for a refusal of an API server; `answer` has been read."""
    try:
        return translate_answer(answer, what)
    except (ValueError, KeyError, TypeError):
        if answer.status_code == 404:  # A path of no known kind gets a page, not a Status.
            return NotFoundError(f"{what}: {UNKNOWN_KIND}")
        return UnavailableError(f"{what}: {answer.status_code} {answer.text[:300]}")
