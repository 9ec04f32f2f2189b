"""One application behind its listeners: they start together and end together."""

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

GRACE_SECONDS = 10
"""How long open requests may go on after a process was told to stop."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Listener:
    """A bound socket; with a certificate and its key it speaks TLS."""

    bound: socket.socket
    certificate: Path | None = None
    key: Path | None = None

    @property
    def port(self) -> int:
        """The port, also when the system chose it."""
        return int(self.bound.getsockname()[1])


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: `Serving` gets the signals, for all of its servers."""
        yield


class Serving:
    """Runs the application. OSError or ssl.SSLError when a certificate cannot be used."""

    def __init__(
        self, app: FastAPI, listeners: Sequence[Listener], on_exit: Callable[[], None]
    ) -> None:
        self._app = app
        self._on_exit = on_exit
        self._servers = {listener: _Server(_config(app, listener)) for listener in listeners}

    def run(self) -> bool:
        """Serve until SIGTERM or SIGINT; whether every listener ever did."""
        first = next(iter(self._servers.values()))
        with asyncio.Runner(loop_factory=first.config.get_loop_factory()) as runner:
            runner.run(self._serve())
        return all(server.started for server in self._servers.values())

    async def _serve(self) -> None:
        # What the application opens is shared: it stays open until the last listener has ended.
        with self._signals():
            try:
                opened = self._app.router.lifespan_context(self._app)
                async with opened, asyncio.TaskGroup() as group:
                    for listener, server in self._servers.items():
                        group.create_task(server.serve(sockets=[listener.bound]))
            except Exception:
                log.exception("serving.failed")

    @contextmanager
    def _signals(self) -> Iterator[None]:
        before = {one: signal.signal(one, self._stop) for one in _SIGNALS}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)

    def _stop(self, sig: int, _: FrameType | None) -> None:
        """End event streams, which would hold it up, and stop; a second interrupt stops at once."""
        self._on_exit()
        for server in self._servers.values():
            server.force_exit = server.should_exit and sig == signal.SIGINT
            server.should_exit = True


def _config(app: FastAPI, listener: Listener) -> uvicorn.Config:
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        lifespan="off",
        log_level="warning",  # below that it logs queries: commands that somebody executes
        ws="wsproto",
        ws_per_message_deflate=False,
        # Pings keep ways open; a caller whose reader waits is not gone when it answers none.
        ws_ping_timeout=None,
        ssl_certfile=listener.certificate,
        ssl_keyfile=listener.key,
    )
    config.load()
    return config
