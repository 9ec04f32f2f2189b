"""`atoll status`: the platforms of this machine and how their parts are."""

from dataclasses import dataclass
from typing import Any

from atoll.cli.local.place import Place
from atoll.client import Atoll
from atoll.errors import AtollError
from atoll.hosts.sandbox import Sandbox


@dataclass(frozen=True)
class Part:
    """One process or part of a platform."""

    platform: str
    name: str
    state: str
    detail: str = ""


def parts(place: Place) -> list[Part]:
    """Processes of the platform and of its host, and what the API says of itself."""
    found = [
        Part(place.name, s.name, "running" if s.alive else "dead", f"pid {s.pid}" if s.pid else "")
        for s in place.platform.states()
    ]
    found += [
        Part(place.name, f"host/{s.name}", "running" if s.alive else "dead",
             f"pid {s.pid}" if s.pid else "")
        for s in Sandbox(place.name, place.sandbox).status()
    ]  # fmt: skip
    return found + _health(place)


def describe(place: Place) -> dict[str, Any]:
    """A platform as an object for JSON and YAML."""
    state, address = place.state, place.platform.port("api")
    return {
        "name": place.name,
        "host": state.host if state else None,
        "api": address["url"] if address else None,
        "logs": str(place.platform.logs),
        "parts": [
            {"name": part.name, "state": part.state, "detail": part.detail} for part in parts(place)
        ],
    }


def _health(place: Place) -> list[Part]:
    address = place.platform.port("api")
    if address is None:
        return []
    try:
        with Atoll(address["url"], place.token()) as client:
            health = client.health()
    except AtollError as error:
        return [Part(place.name, "health", "unknown", error.detail)]
    return [
        Part(place.name, f"health/{name}", "ok" if part.ok else "failing", part.message)
        for name, part in health.parts.items()
    ]
