"""Connections to virtual clusters: one pool each, so that a slow tenant slows nobody else."""

import hashlib
import ssl
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import lru_cache
from http.cookiejar import CookieJar, DefaultCookiePolicy

import httpx2

from atoll.gateway.access import Access

MOST_POOLS = 256
"""How many virtual clusters keep their connections; the one unused for longest gives way."""
_LIMITS = httpx2.Limits(max_connections=128, max_keepalive_connections=8, keepalive_expiry=30)
# Reading has no limit of its own: a watch may be silent for minutes. Callers bound the rest.
TIMEOUT = httpx2.Timeout(None, connect=3.0, write=60.0, pool=5.0)


@lru_cache(maxsize=MOST_POOLS)
def tls_context(authority: str) -> ssl.SSLContext:
    """Trusts that one authority and nothing else. ValueError or ssl.SSLError when it is no PEM."""
    context = ssl.create_default_context(cadata=authority)
    # Kubernetes' self-made authorities often lack the key identifiers that newer Pythons demand.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return context


@dataclass
class _Pool:
    client: httpx2.AsyncClient
    users: int = 0
    evicted: bool = False


class Connections:
    """Pools by server and authority; at most `most`, closed when evicted and no longer in use."""

    def __init__(self, most: int = MOST_POOLS) -> None:
        self._most = most
        self._pools: OrderedDict[tuple[str, str], _Pool] = OrderedDict()

    @asynccontextmanager
    async def use(self, access: Access) -> AsyncIterator[httpx2.AsyncClient]:
        """The pool of a virtual cluster, open at least until the block ends."""
        async with self._held(access.server, access.authority) as client:
            yield client

    @asynccontextmanager
    async def use_plain(self, origin: str) -> AsyncIterator[httpx2.AsyncClient]:
        """The pool of a Ray head on this machine (sandbox), without TLS."""
        async with self._held(origin, "") as client:
            yield client

    async def close(self) -> None:
        """Close everything; streams that are open end."""
        for pool in self._pools.values():
            await pool.client.aclose()
        self._pools.clear()

    @asynccontextmanager
    async def _held(self, origin: str, authority: str) -> AsyncIterator[httpx2.AsyncClient]:
        key = (origin, hashlib.sha256(authority.encode()).hexdigest())
        pool = self._pools.get(key) or _Pool(_client(authority))
        self._pools[key] = pool
        self._pools.move_to_end(key)
        pool.users += 1
        try:
            await self._evict()
            yield pool.client
        finally:
            pool.users -= 1
            if pool.evicted and not pool.users:
                await pool.client.aclose()

    async def _evict(self) -> None:
        while len(self._pools) > self._most:
            _, oldest = self._pools.popitem(last=False)
            oldest.evicted = True
            if not oldest.users:
                await oldest.client.aclose()


def _client(authority: str) -> httpx2.AsyncClient:
    # A cookie that one caller is given must not be sent with the next one's request.
    no_cookies = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
    return httpx2.AsyncClient(
        verify=tls_context(authority) if authority else True,
        cookies=no_cookies,
        timeout=TIMEOUT,
        limits=_LIMITS,
        trust_env=False,
        follow_redirects=False,
    )
