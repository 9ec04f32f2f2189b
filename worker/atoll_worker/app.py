"""The Celery application of the workers: `celery -A atoll_worker.app worker`."""

import gc
from typing import Any

from celery.signals import setup_logging, worker_before_create_process, worker_ready

from atoll.dispatch import celery_app
from atoll.settings import get_settings
from atoll.telemetry import logs, worker_metrics

app = celery_app(get_settings())
app.conf.imports = ("atoll_worker.tasks",)


@setup_logging.connect
def _logging(**_: Any) -> None:
    """One JSON line per event; Celery's own configuration stays out."""
    logs.configure("worker", level=get_settings().log_level)


@worker_before_create_process.connect
def _share(**_: Any) -> None:
    """Before each fork: the collector must not touch what is loaded, or every child copies it."""
    gc.collect()
    gc.freeze()


@worker_ready.connect
def _parent(**_: Any) -> None:
    worker_metrics.serve(get_settings(), "worker")
