"""The Celery application of the workers: `celery -A atoll_worker.app worker`."""

from typing import Any

from celery.signals import setup_logging, worker_ready

from atoll.dispatch import celery_app
from atoll.settings import get_settings
from atoll.telemetry import logs, worker_metrics
from atoll_worker import store_figures

app = celery_app(get_settings())
app.conf.imports = ("atoll_worker.tasks",)
# A look mostly waits for API servers and helm, so threads do; a process for each would be as large as
# the whole worker, because what children share by fork is copied as soon as they count references.
app.conf.worker_pool = "threads"


@setup_logging.connect
def _logging(**_: Any) -> None:
    """One JSON line per event; Celery's own configuration stays out."""
    logs.configure("worker", level=get_settings().log_level)


@worker_ready.connect
def _metrics(**_: Any) -> None:
    worker_metrics.serve(get_settings(), "worker")
    store_figures.start(get_settings())
