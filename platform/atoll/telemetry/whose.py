"""Whose work a line of the log is about, told from what is at hand: a path, an object as it is stored.

Neither need be right: a path is what a stranger sent, an object may have been written past our rules.
"""

import re
from collections.abc import Mapping
from typing import Any

_PATH = re.compile(r"^(?:/v1)?/(teams|virtual-clusters)/([a-z0-9-]{1,63})(?:/|$)")


def named(path: str) -> dict[str, str]:
    """The team or virtual cluster that a path names, for the log context; the use cases say the rest."""
    found = _PATH.match(path)
    if not found:
        return {}
    return {"team" if found[1] == "teams" else "virtual_cluster": found[2]}


def of_virtual_cluster(item: Mapping[str, Any]) -> dict[str, str]:
    """Name and team of a VirtualCluster as the API server gives it; without what cannot be read."""
    spec = item.get("spec")
    team = spec.get("team") if isinstance(spec, Mapping) else None
    known = {"team": team, "virtual_cluster": item["metadata"]["name"]}
    return {key: value for key, value in known.items() if isinstance(value, str) and value}
