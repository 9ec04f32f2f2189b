"""Starts the processes with HTTP: `python -m atoll.main api` or `python -m atoll.main gateway`.

Everything is put together here and nowhere else.
"""

import importlib
import importlib.util
import signal
import socket
import sys
from collections.abc import Callable
from types import FrameType

import structlog
import uvicorn
from fastapi import FastAPI

from atoll.settings import Settings, get_settings
from atoll.telemetry import logs
from atoll.telemetry.ports import remove_port_file, write_port_file

_GRACE_SECONDS = 10
log = structlog.get_logger(__name__)


class _Server(uvicorn.Server):
    """Ends event streams as soon as it is told to stop; they would hold it up otherwise."""

    def __init__(self, config: uvicorn.Config, on_exit: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_exit = on_exit

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End the streams and stop; a second interrupt stops at once. A wished end is no failure, so
        the signal is not raised again afterwards, as uvicorn would.
        """
        self._on_exit()
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True


def build_api(settings: Settings) -> FastAPI:
    """The API with the portal's pages, when they are installed. (Each process imports its own part.)"""
    create_app = importlib.import_module("atoll.api.app").create_app
    portal = None
    if importlib.util.find_spec("atoll.portal.views"):
        portal = importlib.import_module("atoll.portal.views").router
    app: FastAPI = create_app(settings, portal=portal)
    return app


def build_gateway(settings: Settings) -> FastAPI:
    """The way into virtual clusters."""
    app: FastAPI = importlib.import_module("atoll.gateway.app").create_app(settings)
    return app


_BUILDERS: dict[str, Callable[[Settings], FastAPI]] = {"api": build_api, "gateway": build_gateway}


def listen(settings: Settings) -> socket.socket:
    """The socket to serve on; bound here, so that a port of 0 is known before anybody asks."""
    family = socket.AF_INET6 if ":" in settings.listen_host else socket.AF_INET
    bound = socket.socket(family)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((settings.listen_host, settings.listen_port))
    return bound


def run(process: str, settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    logs.configure(process, settings.log_level)
    bound = listen(settings)
    port: int = bound.getsockname()[1]
    if process == "api" and "api_url" not in settings.model_fields_set:
        settings = settings.model_copy(update={"api_url": f"http://{settings.listen_host}:{port}"})
    app = _BUILDERS[process](settings)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        lifespan="on",
    )
    server = _Server(config, on_exit=lambda: _close_streams(app))
    write_port_file(settings, process, port)
    log.info("listening", url=f"http://{settings.listen_host}:{port}")
    try:
        server.run(sockets=[bound])
    finally:
        remove_port_file(settings, process)
        bound.close()
    return 0 if server.started else 1


def _close_streams(app: FastAPI) -> None:
    cases = getattr(app.state, "use_cases", None)
    if cases is not None:
        cases.feed.close()


def main(arguments: list[str] | None = None) -> int:
    """The command line: one word, the name of the process."""
    words = sys.argv[1:] if arguments is None else arguments
    if len(words) != 1 or words[0] not in _BUILDERS:
        sys.stderr.write(f"usage: python -m atoll.main {'|'.join(_BUILDERS)}\n")
        return 2
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    return run(words[0], get_settings())


if __name__ == "__main__":
    sys.exit(main())
