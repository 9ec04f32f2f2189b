"""Starts the processes with HTTP: `python -m atoll.main api` or `python -m atoll.main gateway`.

Everything is put together here and nowhere else.
"""

import importlib
import importlib.util
import signal
import socket
import sys
from collections.abc import Callable

import structlog
from fastapi import FastAPI

from atoll.serving import Listener, Serving
from atoll.settings import Settings, get_settings
from atoll.telemetry import logs
from atoll.telemetry.ports import remove_port_file, write_port_file

log = structlog.get_logger(__name__)


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


def listeners(process: str, settings: Settings) -> list[Listener]:
    """The sockets to serve on; bound here, so that a port of 0 is known before anybody asks.

    The gateway has a second one with TLS when it is given a certificate: kubectl sends its tokens
    over nothing else. ValueError when the certificate or its key is missing.
    """
    found = [Listener(_bound(settings.listen_host, settings.listen_port))]
    certificate, key = settings.tls_cert_file, settings.tls_key_file
    if process != "gateway" or not (certificate or key):
        return found
    if certificate is None or key is None:
        raise ValueError("Of ATOLL_TLS_CERT_FILE and ATOLL_TLS_KEY_FILE one is missing")
    bound = _bound(settings.listen_host, settings.listen_tls_port)
    return [*found, Listener(bound, certificate, key)]


def _bound(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((host, port))
    return bound


def run(process: str, settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    logs.configure(process, settings.log_level)
    plain, *tls = listeners(process, settings)
    if process == "api" and "api_url" not in settings.model_fields_set:
        url = f"http://{settings.listen_host}:{plain.port}"
        settings = settings.model_copy(update={"api_url": url})
    app = _BUILDERS[process](settings)
    serving = Serving(app, [plain, *tls], on_exit=lambda: _close_streams(app))
    write_port_file(settings, process, plain.port, tls[0].port if tls else None)
    log.info("listening", ports=[listener.port for listener in (plain, *tls)])
    try:
        served = serving.run()
    finally:
        remove_port_file(settings, process)
        for listener in (plain, *tls):
            listener.bound.close()
    return 0 if served else 1


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
