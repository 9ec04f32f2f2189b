"""Metrics of the worker and the follower, for Prometheus."""

import contextlib
from collections.abc import Mapping

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from atoll.settings import Settings
from atoll.telemetry.ports import write_port_file

_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

STEPS = Histogram(
    "atoll_step_duration_seconds",
    "Time of one step in one pass",
    ["step", "outcome"],
    buckets=_SECONDS,
)
LOOKS = Histogram("atoll_look_duration_seconds", "Time of one look", ["result"], buckets=_SECONDS)
QUEUE_AGE = Histogram("atoll_queue_age_seconds", "Time a hint spent in the queue", buckets=_SECONDS)
LEASES = Counter("atoll_lease_changes_total", "Times a virtual cluster got another writer")
HINTS = Counter("atoll_hints_total", "Hints sent to the queue", ["source"])
_QUOTA_LABELS = ["team", "virtual_cluster", "resource"]
QUOTA_LIMIT = Gauge(
    "atoll_quota_limit", "Most that may be held, in cores, bytes or pieces", _QUOTA_LABELS
)
QUOTA_RESERVED = Gauge(
    "atoll_quota_reserved", "Taken from the team's quota, used or not", _QUOTA_LABELS
)
QUOTA_USED = Gauge("atoll_quota_used", "Held on the host by what runs", _QUOTA_LABELS)
QUOTA_FREE = Gauge(
    "atoll_quota_free", "What a team can still reserve, or a virtual cluster use", _QUOTA_LABELS
)
UNCONVERGED = Gauge(
    "atoll_unconverged_virtual_clusters", "Virtual clusters that are not as asked for"
)


_STORE_LABELS = ["virtual_cluster", "pod"]
STORE_UP = Gauge("atoll_redis_up", "Whether a Redis of Ray heads answers (1 or 0)", _STORE_LABELS)
STORE_MEMORY = Gauge("atoll_redis_memory_bytes", "Memory that its data takes", _STORE_LABELS)
STORE_LIMIT = Gauge(
    "atoll_redis_memory_limit_bytes", "Memory at which it refuses writes; 0: none", _STORE_LABELS
)
STORE_CLIENTS = Gauge("atoll_redis_clients", "Its open connections", _STORE_LABELS)
STORE_KEYS = Gauge("atoll_redis_keys", "Its keys", _STORE_LABELS)
STORE_PRIMARY = Gauge("atoll_redis_primary", "Whether it takes writes (1 or 0)", _STORE_LABELS)
STORE_KEPT = Gauge(
    "atoll_redis_append_only_ok",
    "Whether its append-only file is on and was written well last (1 or 0)",
    _STORE_LABELS,
)


GANGS = Histogram(
    "atoll_gang_mirror_seconds",
    "Time from hearing of a gang of a shared virtual cluster to its change on the host",
    ["change"],
    buckets=_SECONDS,
)
MIRRORED = Gauge(
    "atoll_mirrored_virtual_clusters", "Shared virtual clusters whose gangs this process mirrors"
)


def gang(change: str, seconds: float) -> None:
    """One gang mirrored to the host or removed from it."""
    GANGS.labels(change).observe(seconds)


def mirrored_virtual_clusters(count: int) -> None:
    """How many shared virtual clusters this process mirrors now."""
    MIRRORED.set(count)


def step(name: str, outcome: object, seconds: float, *, dry: bool) -> None:
    """One step of a pass; dry passes only read and are not counted."""
    if not dry:
        STEPS.labels(name, type(outcome).__name__.lower()).observe(seconds)


def look(result: str, seconds: float) -> None:
    """One look at a virtual cluster."""
    LOOKS.labels(result).observe(seconds)


def queue_age(seconds: float) -> None:
    """How long a hint waited in the queue; clocks of two machines may differ, so never below 0."""
    QUEUE_AGE.observe(max(0.0, seconds))


def lease_change() -> None:
    """A virtual cluster got another writer than last time."""
    LEASES.inc()


def hint(source: str) -> None:
    """One hint, from the watcher or the sweeper."""
    HINTS.labels(source).inc()


def unconverged(count: int) -> None:
    """How many virtual clusters want work."""
    UNCONVERGED.set(count)


_QUOTAS = {
    "limit": QUOTA_LIMIT, "reserved": QUOTA_RESERVED, "used": QUOTA_USED, "free": QUOTA_FREE,
}  # fmt: skip
_told: set[tuple[str, str, str, str]] = set()


def quotas(amounts: Mapping[tuple[str, str, str, str], float]) -> None:
    """(limit | reserved | used | free, team, virtual cluster or "", resource) -> amount: all there are now.

    What was told before and is not there any more is taken off the page.
    """
    for what, *labels in _told - set(amounts):
        _QUOTAS[what].remove(*labels)
    for (what, *labels), amount in amounts.items():
        _QUOTAS[what].labels(*labels).set(amount)
    _told.clear()
    _told.update(amounts)


_STORES = {
    "memory": STORE_MEMORY, "limit": STORE_LIMIT, "clients": STORE_CLIENTS, "keys": STORE_KEYS,
    "primary": STORE_PRIMARY, "kept": STORE_KEPT,
}  # fmt: skip
_stores_told: set[tuple[str, str]] = set()


def stores(figures: Mapping[tuple[str, str], Mapping[str, float] | None]) -> None:
    """(virtual cluster, pod) -> what its Redis says, None for a silent one: all there are now.

    A silent one has no figures but that it is down; one that is gone goes off the page.
    """
    for labels in _stores_told - set(figures):
        STORE_UP.remove(*labels)
    for labels in _stores_told:
        if figures.get(labels) is None:
            for gauge in _STORES.values():
                with contextlib.suppress(KeyError):
                    gauge.remove(*labels)
    for labels, told in figures.items():
        STORE_UP.labels(*labels).set(told is not None)
        if told is not None:
            for name, gauge in _STORES.items():
                gauge.labels(*labels).set(told[name])
    _stores_told.clear()
    _stores_told.update(figures)


def serve(settings: Settings, process: str) -> None:
    """/metrics on a port of its own; the port file tells which."""
    server, _ = start_http_server(settings.metrics_port or 0, addr=settings.listen_host)
    write_port_file(settings, process, server.server_port)
