"""Releasing a host node: which pods must leave it first, and how long that may take. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from atoll.cluster.client import Object

PATIENCE = timedelta(minutes=15)
"""How long pods may take to leave before somebody has to look; they are asked on after that as well."""
_NAMED = 5
_INSIDE = "vcluster.loft.sh/object-name", "vcluster.loft.sh/object-namespace"
_OWNER_KIND = "vcluster.loft.sh/owner-set-kind"
_SYNCED = "vcluster.loft.sh/managed-by"


@dataclass(frozen=True)
class Staying:
    """A pod of the virtual cluster on a node: its name on the host, how its team knows it, whether it
    is on its way out.
    """

    name: str
    known_as: str
    going: bool
    revision: str = ""
    """Its resourceVersion as it was read."""


def staying(pods: Iterable[Object]) -> dict[str, tuple[Staying, ...]]:
    """Node -> pods that must leave before it is released, of all pods of one host namespace.

    Only what runs inside the virtual cluster counts. Its control plane and Redis may run on any node of
    the host; pods of a DaemonSet belong to the node and go with it; ended pods hold nothing.
    """
    found: dict[str, list[Staying]] = defaultdict(list)
    for pod in pods:
        meta = pod["metadata"]
        notes = meta.get("annotations") or {}
        node = pod["spec"].get("nodeName")
        ended = (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")
        inside = _SYNCED in (meta.get("labels") or {})
        if node and inside and not ended and notes.get(_OWNER_KIND) != "DaemonSet":
            name, namespace = (notes.get(key, "") for key in _INSIDE)
            known_as = f"{namespace}/{name}" if name else meta["name"]
            going = "deletionTimestamp" in meta
            found[node].append(Staying(meta["name"], known_as, going, meta["resourceVersion"]))
    return {node: tuple(sorted(p, key=lambda one: one.name)) for node, p in found.items()}


def in_words(nodes: Sequence[tuple[str, Sequence[Staying]]]) -> str:
    """Which pods still stand on which node."""
    return "; ".join(f"{node}: {_names(pods)}" for node, pods in nodes)


def _names(pods: Sequence[Staying]) -> str:
    if not pods:
        return "empty"
    rest = f" and {len(pods) - _NAMED} more" if len(pods) > _NAMED else ""
    return ", ".join(p.known_as for p in pods[:_NAMED]) + rest


def overdue(since: str | None, now: datetime, deadline: int | None) -> bool:
    """Whether a drain has gone on for as many seconds as it may. Where nobody noted when it began (an admin
    had cordoned the node before), only a deadline of 0 is over.
    """
    if deadline is None:
        return False
    if since is None:
        return deadline == 0
    return now - datetime.fromisoformat(since) >= timedelta(seconds=deadline)


def too_long(since: Iterable[str], now: datetime) -> bool:
    """Whether one of these drains began longer ago than anybody should wait."""
    return any(now - datetime.fromisoformat(begun) > PATIENCE for begun in since)
