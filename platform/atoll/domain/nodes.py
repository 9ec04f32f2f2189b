"""Which host nodes a dedicated virtual cluster owns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class HostNode:
    """A node of the host: its template, who owns it (virtual cluster name or None), whether it is Ready.

    `pods` counts those of its owner on it. `leaving` says that we began to release it. `size` is what it can
    allocate, as quantities; empty: not known. `kept_out` says that an admin keeps shared pods off it.
    """

    name: str
    template: str
    owner: str | None = None
    ready: bool = True
    pods: int = 0
    leaving: bool = False
    size: Mapping[str, str] = field(default_factory=dict)
    kept_out: bool = False


@dataclass(frozen=True)
class Allocation:
    """What has to change so that a virtual cluster owns the nodes it asks for.

    `missing` maps template -> how many nodes could not be had; `available` maps template -> how many
    free, ready nodes there are in all, to say so in words.
    """

    take: tuple[str, ...] = ()
    release: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    missing: Mapping[str, int] = field(default_factory=dict)
    available: Mapping[str, int] = field(default_factory=dict)


def allocate(nodes: Sequence[HostNode], owner: str, wanted: Mapping[str, int]) -> Allocation:
    """Keep what is owned, take the rest from free and ready nodes, give back what is too much.

    Nothing is taken unless all of it can be had: a half-built cluster helps nobody and would keep the
    nodes from another that fits. Nodes are chosen by name, so the same input gives the same answer.
    Of owned nodes those are given back first that we began to release, then those that are not Ready,
    then those with the fewest pods.
    """
    take: list[str] = []
    release: list[str] = []
    keep: list[str] = []
    missing: dict[str, int] = {}
    available: dict[str, int] = {}
    templates = {n.template for n in nodes if n.owner == owner} | set(wanted)
    for template in sorted(templates):
        count = max(0, wanted.get(template, 0))
        same = [n for n in nodes if n.template == template]
        mine = sorted((n for n in same if n.owner == owner), key=_worth)
        free = sorted(n.name for n in same if n.owner is None and n.ready)
        available[template] = len(free)
        keep += [n.name for n in mine[:count]]
        release += [n.name for n in mine[count:]]
        lacking = count - len(mine[:count])
        if lacking > len(free):
            missing[template] = lacking - len(free)
        take += free[:lacking]
    if missing:
        take = []
    return Allocation(tuple(take), tuple(release), tuple(keep), missing, available)


def _worth(node: HostNode) -> tuple[bool, bool, int, str]:
    """Sorts owned nodes: first those that are kept longest. What is leaving stays so, or a drain that
    moves pods from node to node would change its mind with every one.
    """
    return (node.leaving, not node.ready, -node.pods, node.name)
