"""The kubelet's log endpoint, one for the host and one for each virtual cluster.

An API server asks the kubelet of a pod's node for the pod's log by the names that it knows itself.
Two virtual clusters may know different pods by one name, so each has an endpoint of its own, which
the nodes shown inside give as their kubelet's; vcluster's syncer does it the same way.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from atoll.hosts.sandbox.agent.names import host_name
from atoll.hosts.sandbox.agent.podlogs import (
    LogOptions,
    NoLogError,
    log_file,
    pieces,
    runs,
    status_of,
)
from atoll.hosts.sandbox.agent.world import OBJECT_NAME, OBJECT_NAMESPACE, World
from atoll.hosts.sandbox.certificates import Certificates
from atoll.hosts.sandbox.kube import Obj

Lookup = Callable[[str, str], Obj | None]
"""The host's pod for a namespace and a name as the asking API server knows them."""
_ONLY_LOGS = (
    "the sandbox has no kubelet except for logs: exec, attach, port-forward, cp and top do not work"
)
log = logging.getLogger(__name__)


def of_host(world: World) -> Lookup:
    """The host's pods by their own names."""
    return world.pods.get


def of_tenant(world: World, namespace: str, release: str) -> Lookup:
    """The pods of the virtual cluster `release`, whose copies are in a namespace of the host."""

    def find(inside: str, name: str) -> Obj | None:
        pod = world.pods.get(namespace, host_name(name, inside, release))
        notes = (pod["metadata"].get("annotations") or {}) if pod else {}
        return (
            pod if (notes.get(OBJECT_NAMESPACE), notes.get(OBJECT_NAME)) == (inside, name) else None
        )

    return find


@asynccontextmanager
async def serving(
    root: Path, lookup: Lookup, certificates: Certificates, port: int = 0
) -> AsyncIterator[int]:
    """Answer the API server with these certificates, and nobody else; gives the loopback port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificates.server)
    context.load_verify_locations(certificates.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    endpoint = _Endpoint(root, lookup)
    server = await asyncio.start_server(endpoint.answer, "127.0.0.1", port, ssl=context)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        endpoint.close()


class _Endpoint:
    """Answers one request per connection; a log that is followed keeps its own open."""

    def __init__(self, root: Path, lookup: Lookup) -> None:
        self._root, self._lookup = root, lookup
        self._tasks: set[asyncio.Task[None]] = set()

    def close(self) -> None:
        """End the answers that are under way."""
        for task in self._tasks:
            task.cancel()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection."""
        task = asyncio.current_task()
        assert task is not None  # asyncio makes one for each connection
        self._tasks.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            await self._reply(head.split(b" ", 2)[1].decode(), reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError,
                IndexError) as problem:  # fmt: skip
            log.debug("a request for a log: %r", problem)
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _reply(
        self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        path, query = urlsplit(target).path, dict(parse_qsl(urlsplit(target).query))
        match [unquote(part) for part in path.strip("/").split("/")]:
            case ["containerLogs", namespace, name, container]:
                pod = self._lookup(namespace, name)
            case _:
                await _say(writer, HTTPStatus.NOT_IMPLEMENTED, _ONLY_LOGS)
                return
        try:
            if pod is None:
                raise NoLogError(f'pod "{name}" has not reached its node')
            options = LogOptions.read(query)
            file = log_file(self._root, pod, container, previous=options.previous)
        except NoLogError as problem:
            await _say(writer, HTTPStatus.BAD_REQUEST, str(problem))
            return

        def over() -> bool:
            return reader.at_eof() or _ended(pod, self._lookup(namespace, name), container)

        await _say(writer, HTTPStatus.OK)
        async with aclosing(pieces(file, options, over)) as parts:
            async for part in parts:
                writer.write(part)
                await writer.drain()


def _ended(before: Obj, now: Obj | None, container: str) -> bool:
    """Whether the container that ran before has ended, be it that another took its place."""
    if now is None or now["metadata"]["uid"] != before["metadata"]["uid"]:
        return True
    first, last = status_of(before, container), status_of(now, container)
    return not runs(last) or first.get("restartCount") != last.get("restartCount")


async def _say(writer: asyncio.StreamWriter, status: HTTPStatus, text: str = "") -> None:
    """The head of an answer, whose body ends with the connection, and perhaps a text."""
    head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/plain\r\n"
    writer.write(f"{head}Connection: close\r\n\r\n{text}".encode())
    await writer.drain()
