"""Turning templates into answers: the environment, the filters, the headers every page carries."""

import hashlib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from atoll.contract.ray import RayJobRead
from atoll.domain.plurals import count
from atoll.portal.times import clock, duration, seconds_between
from atoll.portal.words import ray_tone

_HERE = Path(__file__).parent
STATIC = _HERE / "static"
THEME_COOKIE = "atoll_theme"
THEMES = ("light", "dark")
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def _time(value: str | datetime | None) -> str:
    """A `<time>` element: UTC on hover and until the browser has made the text local."""
    if not value:
        return ""
    text = value.isoformat() if isinstance(value, datetime) else value
    words = clock(text)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(text, words, words)


def _took(job: RayJobRead, now: datetime) -> str:
    return duration(seconds_between(job.started_at, job.ended_at, now))


@cache
def static_path(name: str) -> str:
    """The address of a file of ours; it changes with the content, so that it may be cached."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


@cache
def environment() -> Environment:
    """The templates, with escaping on and unknown names refused."""
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(time=_time, clock=clock, count=count, took=_took, ray_tone=ray_tone)
    made.globals["static"] = static_path
    return made


def theme_of(request: Request) -> str:
    """The colours the person chose; empty means the system's."""
    chosen = request.cookies.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else ""


def render(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """A page. `values` go to the template beside those that every page has."""
    now = values.pop("now", None) or datetime.now(UTC)
    shared: dict[str, Any] = {
        "now": now,
        "now_iso": now.isoformat(),
        "theme": theme_of(request),
        "caller": None,
        "section": "",
        "sandbox": request.app.state.settings.sandbox,
    }
    text = environment().get_template(template).render(shared | values)
    return HTMLResponse(text, status, HEADERS)
