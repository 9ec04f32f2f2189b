"""Reading the tree of teams, and the chain from one team to its root."""

from collections.abc import Iterable
from typing import Any

from atoll.cluster import kinds
from atoll.cluster.client import Cluster, Object
from atoll.domain import quotas
from atoll.domain.quota_tree import QuotaTree, Share, readable
from atoll.errors import NotFoundError

Entries = dict[str, dict[str, str]]


def limits_of(team: Object) -> dict[str, str]:
    """The limits of a team itself, by resource; one that cannot be read counts as 0."""
    lines: dict[str, Any] = (team.get("spec") or {}).get("quota") or {}
    return readable({resource: line.get("limit", "") for resource, line in lines.items()}, "0")


def entries_of(team: Object) -> Entries:
    """The ledger of a team as it was read."""
    return dict((team.get("status") or {}).get("reservations") or {})


def share_of(team: Object) -> Share:
    """A team as the tree sees it."""
    spec = team.get("spec") or {}
    lines: dict[str, Any] = spec.get("quota") or {}
    named = {r: line["guaranteed"] for r, line in lines.items() if line.get("guaranteed")}
    return Share(
        name=team["metadata"]["name"],
        parent=spec.get("parent") or None,
        limits=limits_of(team),
        guaranteed=readable(named, None),
        reserved=quotas.reserved(entries_of(team)),
    )


def tree_of(teams: Iterable[Object]) -> QuotaTree:
    """The tree of these teams; those on their way out are still in it."""
    return QuotaTree(share_of(team) for team in teams)


async def read_tree(cluster: Cluster) -> QuotaTree:
    """The tree of all teams."""
    return tree_of(await cluster.items(kinds.TEAM))


async def read_chain(cluster: Cluster, team: str) -> list[Object]:
    """A team and its ancestors, root last, as far as they can be followed.

    NotFoundError when the team itself is not there.
    """
    found = [await cluster.get(kinds.TEAM, team)]
    names = {team}
    while (parent := (found[-1].get("spec") or {}).get("parent")) and parent not in names:
        above = await cluster.find(kinds.TEAM, parent)
        if above is None:
            break
        names.add(parent)
        found.append(above)
    return found


async def read_known_chain(cluster: Cluster, team: str) -> list[Object]:
    """As `read_chain`; empty when the team is gone."""
    try:
        return await read_chain(cluster, team)
    except NotFoundError:
        return []
