"""Times and durations as people read them. Pages hold UTC; the browser makes it local."""

from datetime import UTC, datetime


def parse_time(text: str | None) -> datetime | None:
    """An RFC 3339 text as a time in UTC; None for an empty one."""
    if not text:
        return None
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def seconds_between(start: str | None, end: str | None, now: datetime) -> float | None:
    """Seconds from `start` to `end` (or to `now` while there is no end); None before the start."""
    began = parse_time(start)
    if began is None:
        return None
    return max(0.0, ((parse_time(end) or now) - began).total_seconds())


def duration(seconds: float | None) -> str:
    """A duration with its units: "0.4 s", "40 s", "2 min 5 s", "1 h 3 min", "3 d 4 h"."""
    if seconds is None:
        return ""
    if 0 < seconds < 9.95 and round(seconds, 1) != int(seconds):
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    for large, small, size, part in (("min", "s", 60, 1), ("h", "min", 3600, 60)):
        if whole < size * (60 if size == 60 else 24):
            rest = whole % size // part
            return f"{whole // size} {large}" + (f" {rest} {small}" if rest else "")
    rest = whole % 86400 // 3600
    return f"{whole // 86400} d" + (f" {rest} h" if rest else "")


def clock(text: str | None) -> str:
    """A time as "21 Nov 2026, 04:56:49 UTC", which stands until the browser makes it local."""
    found = parse_time(text)
    return found.astimezone(UTC).strftime("%-d %b %Y, %H:%M:%S UTC") if found else ""
