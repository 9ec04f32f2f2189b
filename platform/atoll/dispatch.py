"""The only door to the queue. A message is a hint, "look at VirtualCluster X"; losing it costs seconds.

Nothing here may hold up or fail a request: the resource is the truth, the sweeper finds what no hint
told of.
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog
from celery import Celery

from atoll.settings import Settings

TASK = "atoll.reconcile"
QUEUE = "reconcile"
SENT_AT = "atoll_sent_at"
"""Message header: the unix time at which a hint was sent, for the queue's age."""
VISIBILITY_SECONDS = 900
HARD_LIMIT_SECONDS = 300
SOFT_LIMIT_SECONDS = 240
"""Longest time of a look: it is cancelled at the soft limit, its worker ends at the hard one. Celery's own
limits would want a process per task."""
_PATIENCE_SECONDS = 1.0
_HINT_SECONDS = 60.0
"""A hint older than this is dropped: the sweeper has sent younger ones, and a worker that was away
must not work off a backlog that says the same thing a thousand times."""
_BREAK_SECONDS = 5.0
_ROLL_CALL_SECONDS = 0.5
_BELIEVED_SECONDS = 15.0
"""How long the answer of a worker is believed; it may be too busy for the next one."""

log = structlog.get_logger(__name__)


def celery_app(settings: Settings, *, producer: bool = False) -> Celery:
    """The Celery application that senders and workers share.

    JSON only, no results, acknowledged when done, one task at a time per thread. The visibility
    timeout is above the hard time limit, so no running task is given to a second worker. A producer
    gives up on a dead broker within a second instead of trying again.
    """
    url = settings.broker_url.get_secret_value()
    app = Celery("atoll", broker=url, set_as_current=not producer)
    transport: dict[str, Any] = {"visibility_timeout": VISIBILITY_SECONDS}
    if producer:
        transport |= {
            "socket_connect_timeout": 0.5,
            "socket_timeout": 0.8,
            "max_retries": 0,
            "retry_on_timeout": False,
        }
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        event_serializer="json",
        task_default_queue=QUEUE,
        task_routes={TASK: {"queue": QUEUE}},
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_acks_on_failure_or_timeout=True,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_publish_retry=False,
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_soft_shutdown_timeout=30.0,
        visibility_timeout=VISIBILITY_SECONDS,
        broker_transport_options=transport,
        broker_connection_retry=not producer,
        broker_connection_retry_on_startup=not producer,
        broker_connection_timeout=0.5 if producer else 4,
        broker_pool_limit=2 if producer else 10,
        broker_pool_acquire_timeout=0.5 if producer else None,
        enable_utc=True,
    )
    return app


class Dispatch:
    """Sends hints. One per process; `close()` at the end."""

    def __init__(self, settings: Settings) -> None:
        self._app = celery_app(settings, producer=True)
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="dispatch")
        # Its own, because a question that nobody answers must not hold up hints.
        self._roll_call = ThreadPoolExecutor(1, thread_name_prefix="roll-call")
        self._asking = asyncio.Lock()
        self._broken_until = 0.0
        self._answered_at = -_BELIEVED_SECONDS

    async def send(self, kind: str, name: str, generation: int) -> bool:
        """Hint that an object wants looking at. False when the queue did not take it within 1 s.

        After a failure the next few seconds answer False at once, so a dead broker costs nobody time.
        """
        if time.monotonic() < self._broken_until:
            return False
        sent = await self._within_patience(self._publish, kind, name, generation)
        if not sent:
            self._broken_until = time.monotonic() + _BREAK_SECONDS
        return sent

    async def alive(self) -> bool:
        """Whether the broker answers within a second. A yes closes the breaker."""
        answered = await self._within_patience(self._connect)
        if answered:
            self._broken_until = 0.0
        return answered

    async def worked_on(self) -> bool | None:
        """Whether a worker takes hints: one that is asked over the queue says so within half a second.

        None when the queue cannot be asked. A yes is believed for 15 s.
        """
        async with self._asking:
            if time.monotonic() - self._answered_at < _BELIEVED_SECONDS:
                return True
            loop = asyncio.get_running_loop()
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    answered = await loop.run_in_executor(self._roll_call, self._ping)
            except Exception as error:  # noqa: BLE001 - whatever ails the broker, nobody was asked
                log.warning("queue.unreachable", error=type(error).__name__)
                return None
            if answered:
                self._answered_at = time.monotonic()
            return answered

    def _ping(self) -> bool:
        """One worker's word is enough."""
        return bool(self._app.control.ping(timeout=_ROLL_CALL_SECONDS, limit=1))

    async def _within_patience(self, call: Any, *args: Any) -> bool:
        loop = asyncio.get_running_loop()
        try:
            # Not wait_for: before Python 3.12 it forgets a cancellation that comes with the answer.
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await loop.run_in_executor(self._threads, call, *args)
        except Exception as error:  # noqa: BLE001 - whatever ails the broker, a hint may be lost
            log.warning("queue.unreachable", error=type(error).__name__)
            return False
        return True

    def _publish(self, kind: str, name: str, generation: int) -> None:
        kwargs = {"kind": kind, "name": name, "generation": generation}
        headers = {SENT_AT: time.time()}
        self._app.send_task(
            TASK,
            kwargs=kwargs,
            headers=headers,
            expires=_HINT_SECONDS,
            retry=False,
            ignore_result=True,
        )

    def _connect(self) -> None:
        with self._app.connection_for_write() as connection:
            connection.ensure_connection(max_retries=1, timeout=1, reraise_as_library_errors=False)

    def close(self) -> None:
        """Forget the connections."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._roll_call.shutdown(wait=False, cancel_futures=True)
        self._app.close()
