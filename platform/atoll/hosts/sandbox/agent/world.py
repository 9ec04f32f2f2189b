"""What the agent knows: its folder, its programs, and the API servers it serves."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from pathlib import Path

from atoll.hosts.detached import Processes, Record, start_time
from atoll.hosts.sandbox import layout
from atoll.hosts.sandbox.agent.informer import Informer
from atoll.hosts.sandbox.kube import CLAIM, POD, SERVICE, ApiError, Kube, Obj
from atoll.hosts.sandbox.objects import now

MANAGED_BY = "vcluster.loft.sh/managed-by"
CONTROLLED_BY = "vcluster.loft.sh/controlled-by"
"""Label of what vcluster itself keeps inside, such as a Service replicated from the host."""
OBJECT_NAME = "vcluster.loft.sh/object-name"
OBJECT_NAMESPACE = "vcluster.loft.sh/object-namespace"


class Site:
    """One API server: the host's, or a virtual cluster's."""

    def __init__(self, name: str, kube: Kube) -> None:
        self.name, self.kube = name, kube
        self.services = Informer(kube, SERVICE)
        self.kubelet_port = 0
        """Where the nodes shown here say that their kubelet is; 0 before it is known."""

    async def event(self, item: Obj, reason: str, message: str, *, warning: bool = True) -> None:
        """Record an Event about an object; a refusal is of no interest."""
        meta = item["metadata"]
        body = {
            "metadata": {
                "generateName": f"{meta['name'][:50]}.",
                "namespace": meta.get("namespace", "default"),
            },
            "involvedObject": {
                "apiVersion": item.get("apiVersion", "v1"),
                "kind": item.get("kind", "Pod"),
                "name": meta["name"],
                "namespace": meta.get("namespace", ""),
                "uid": meta.get("uid", ""),
            },
            "reason": reason,
            "message": message[:1000],
            "type": "Warning" if warning else "Normal",
            "source": {"component": "atoll-sandbox"},
            "firstTimestamp": now(),
            "lastTimestamp": now(),
            "count": 1,
        }
        try:
            await self.kube.post_event(body)
        except ApiError:
            return


@dataclass
class World:
    """Shared by everything in the agent."""

    root: Path
    host: Site
    tools: dict[str, Path]
    processes: Processes
    pods: Informer
    claims: Informer
    tenants: dict[tuple[str, str], Site] = field(default_factory=dict)

    @classmethod
    def open(cls, root: Path) -> World:
        """The world of the sandbox in `root`."""
        kube = layout.host_client(root)
        tools = json.loads((root / "tools.json").read_text())
        return cls(
            root,
            Site("host", kube),
            {name: Path(path) for name, path in tools.items()},
            Processes(root),
            Informer(kube, POD),
            Informer(kube, CLAIM),
        )

    def origin(self, pod: Obj) -> tuple[Site, str, str] | None:
        """Where a host pod comes from: its API server, namespace and name there.

        None while the virtual cluster it belongs to is not running.
        """
        meta = pod["metadata"]
        tenant = meta.get("labels", {}).get(MANAGED_BY)
        if tenant is None:
            return self.host, meta["namespace"], meta["name"]
        site = self.tenants.get((meta["namespace"], tenant))
        if site is None:
            return None
        notes = meta.get("annotations", {})
        return site, notes[OBJECT_NAMESPACE], notes[OBJECT_NAME]


async def ended(*records: Record) -> None:
    """Wait until one of these processes has ended."""
    # Nothing tells of the end of a process that somebody else started: it must be asked for.
    while all(start_time(record.pid) == record.started for record in records):  # noqa: ASYNC110
        await asyncio.sleep(0.25)
