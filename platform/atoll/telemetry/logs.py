"""JSON logs: one event per line, with the keys that tell whose work it was.

Bind `team`, `virtual_cluster`, `operation`, `step`, `request_id` with structlog's contextvars; they
are on every line until unbound. Never log a secret; keys that look like one are blotted out here.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.types import Processor

_SECRET_WORDS = ("token", "password", "secret", "authorization", "cookie", "broker_url")


def configure(process: str, level: str = "INFO") -> None:
    """Send structlog's and the standard library's logs to stderr as JSON lines."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        _name_process(process),
        _blot_secrets,
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for chatty in ("httpx2", "httpcore2", "uvicorn.access", "kombu", "amqp"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    for own_handler in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(own_handler).handlers.clear()
        logging.getLogger(own_handler).propagate = True


def about(
    *, team: str | None = None, virtual_cluster: str | None = None, operation: str | None = None
) -> None:
    """Say on all further lines of this request or task whose work it is; what is None or empty stays."""
    keys = {"team": team, "virtual_cluster": virtual_cluster, "operation": operation}
    structlog.contextvars.bind_contextvars(**{key: value for key, value in keys.items() if value})


def _name_process(process: str) -> Processor:
    def add(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["process"] = process
        return event

    return add


def _blot_secrets(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in event:
        if any(word in key.lower() for word in _SECRET_WORDS):
            event[key] = "***"
    return event
