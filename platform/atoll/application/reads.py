"""From resources to what callers read."""

from typing import Any

from atoll.contract.operations import OperationRef
from atoll.contract.profiles import ProfileRead
from atoll.contract.teams import TeamRead
from atoll.contract.virtual_clusters import VirtualClusterRead
from atoll.domain.quotas import owner_of
from atoll.resources.meta import Metadata, revision_of
from atoll.resources.profiles import Profile
from atoll.resources.teams import Team
from atoll.resources.virtual_clusters import VirtualCluster


def envelope(meta: Metadata) -> dict[str, Any]:
    """What every object on the wire has."""
    return {
        "name": meta.name,
        "uid": meta.uid,
        "revision": revision_of(meta.model_dump()),
        "generation": meta.generation,
        "created_at": meta.creation_timestamp,
        "deleting_since": meta.deletion_timestamp,
    }


def team_read(team: Team) -> TeamRead:
    """A team; changes of the ledger that are still under way are left out of its lines."""
    lines = {k: v for k, v in team.status.reservations.items() if owner_of(k) == k}
    status = team.status.model_copy(update={"reservations": lines})
    return TeamRead(**envelope(team.metadata), spec=team.spec, status=status)


def profile_read(profile: Profile) -> ProfileRead:
    """A profile."""
    return ProfileRead(**envelope(profile.metadata), spec=profile.spec, status=profile.status)


def operation_href(operation_id: str) -> str:
    """Where an operation is read."""
    return f"/v1/operations/{operation_id}"


def virtual_cluster_read(
    found: VirtualCluster, *, warning: str | None = None, operation_id: str | None = None
) -> VirtualClusterRead:
    """A virtual cluster, with the operation of its present generation unless another is named."""
    operation = operation_id or found.operation_id
    status = found.status
    if found.deleting:  # so from the moment it was asked for, not from a worker's first look
        status = status.model_copy(update={"phase": "Deleting"})
    return VirtualClusterRead(
        **envelope(found.metadata),
        spec=found.spec,
        status=status,
        operation=OperationRef(id=operation, href=operation_href(operation), warning=warning),
    )
