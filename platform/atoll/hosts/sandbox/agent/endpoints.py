"""Where Services really answer: pods' local ports, told by annotations, used to resolve names."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from atoll.hosts.sandbox.agent.informer import Key
from atoll.hosts.sandbox.agent.world import Site
from atoll.hosts.sandbox.kube import SERVICE, Obj

ENDPOINT = "sandbox.atoll.dev/endpoint"
PORTS = "sandbox.atoll.dev/ports"
GCS = "sandbox.atoll.dev/gcs"
_DASHBOARD, _GCS = 8265, 6379


@dataclass(frozen=True)
class Backend:
    """A ready pod: its labels, and its container ports with the local ports behind them."""

    namespace: str
    labels: dict[str, str]
    ports: dict[int, int]
    names: dict[str, int] = field(default_factory=dict)


class Endpoints:
    """The ready pods of all sites, by host pod UID."""

    def __init__(self) -> None:
        self._backends: dict[tuple[str, str], Backend] = {}

    async def add(self, site: Site, uid: str, backend: Backend) -> None:
        """A pod became ready: tell its Services."""
        self._backends[site.name, uid] = backend
        for service in site.services.all(backend.namespace):
            await self.settle(site, service)

    def remove(self, site: Site, uid: str) -> Backend | None:
        """A pod is no longer ready; its Services keep the address until a new one is."""
        return self._backends.pop((site.name, uid), None)

    def forget(self, site: Site) -> None:
        """A site is gone."""
        for key in [key for key in self._backends if key[0] == site.name]:
            del self._backends[key]

    async def look(self, site: Site, key: Key) -> float | None:
        """Settle a Service that changed."""
        service = site.services.get(*key)
        if service is not None:
            await self.settle(site, service)
        return None

    async def settle(self, site: Site, service: Obj) -> None:
        """Write the local addresses of a Service's first ready pod into its annotations."""
        meta = service["metadata"]
        wanted = self._annotations(site, service)
        notes = meta.get("annotations") or {}
        if wanted and any(notes.get(name) != value for name, value in wanted.items()):
            change = {"metadata": {"annotations": wanted}}
            await site.kube.patch(SERVICE, meta["namespace"], meta["name"], change)

    def _annotations(self, site: Site, service: Obj) -> dict[str, str]:
        selector = service["spec"].get("selector")
        if not selector:
            return {}
        for (where, _), backend in self._backends.items():
            same = where == site.name and backend.namespace == service["metadata"]["namespace"]
            if same and selector.items() <= backend.labels.items():
                return _describe(service["spec"].get("ports") or [], backend)
        return {}


def _describe(ports: list[Obj], backend: Backend) -> dict[str, str]:
    found: dict[str, str] = {}
    main = ""
    for port in ports:
        target: str | int = port.get("targetPort") or port["port"]
        inner = int(backend.names.get(target, 0) if isinstance(target, str) else target)
        if inner not in backend.ports:
            continue
        found[str(port["port"])] = address = f"127.0.0.1:{backend.ports[inner]}"
        if not main or inner == _DASHBOARD:
            main = address
    if not found:
        return {}
    notes = {ENDPOINT: main, PORTS: json.dumps(found, sort_keys=True)}
    if _DASHBOARD in backend.ports and _GCS in backend.ports:
        notes[GCS] = f"127.0.0.1:{backend.ports[_GCS]}"
    return notes


def resolve(site: Site, namespace: str, host: str, port: int) -> str | None:
    """The local address behind a Service name as pods write it; None when nothing answers yet."""
    parts = host.split(".")
    where = parts[1] if len(parts) > 1 else namespace
    service = site.services.get(where, parts[0])
    if service is None:
        return None
    ports = json.loads((service["metadata"].get("annotations") or {}).get(PORTS, "{}"))
    found = ports.get(str(port))
    return str(found) if found else None
