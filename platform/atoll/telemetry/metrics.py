"""What the processes with HTTP count, for Prometheus."""

from prometheus_client import CONTENT_TYPE_LATEST, Counter, Gauge, Histogram, generate_latest

REQUESTS = Counter(
    "atoll_http_requests_total",
    "HTTP requests by method, route template and status",
    ["method", "route", "status"],
)
REQUEST_SECONDS = Histogram(
    "atoll_http_request_seconds",
    "Time until an HTTP answer was complete, or until its first byte for a stream",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
STREAMS = Gauge("atoll_event_streams", "Event streams that are open")

CONTENT_TYPE = CONTENT_TYPE_LATEST


def page() -> bytes:
    """All metrics of this process as text."""
    return generate_latest()
