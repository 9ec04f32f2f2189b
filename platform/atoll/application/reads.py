"""From resources to what callers read."""

from collections.abc import Iterable
from typing import Any

from atoll.contract.operations import OperationRef
from atoll.contract.profiles import ProfileRead
from atoll.contract.teams import TeamRead
from atoll.contract.virtual_clusters import (
    RayClusterFit,
    Refusal,
    VirtualClusterQuotaLine,
    VirtualClusterQuotaPreview,
    VirtualClusterRead,
)
from atoll.domain import virtual_cluster_previews
from atoll.domain.quotas import owner_of
from atoll.errors import FieldProblem
from atoll.resources.meta import Metadata, revision_of
from atoll.resources.profiles import Profile
from atoll.resources.teams import Team
from atoll.resources.virtual_clusters import VirtualCluster, VirtualClusterSpec


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
    return ProfileRead(**envelope(profile.metadata), spec=profile.spec)


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


def quota_preview(
    before: VirtualCluster, wanted: VirtualClusterSpec, refused: Iterable[FieldProblem]
) -> VirtualClusterQuotaPreview:
    """What the quota of `wanted` would do to a virtual cluster as it is."""
    lines = virtual_cluster_previews.lines(before.spec.quota, wanted.quota, before.status.used)
    out = virtual_cluster_previews.no_longer_fit(wanted.quota, wanted.ray_clusters)
    return VirtualClusterQuotaPreview(
        virtual_cluster=before.name,
        revision=envelope(before.metadata)["revision"],
        lines=[
            VirtualClusterQuotaLine(
                resource=line.resource, limit_before=line.before, limit_after=line.after,
                used=line.used, over=line.over,
            )
            for line in lines
        ],
        no_longer_fit=[RayClusterFit(name=fit.name, demand=fit.demand) for fit in out],
        refused=[Refusal(pointer=p.pointer, detail=p.detail, limit=p.limit) for p in refused],
    )  # fmt: skip
