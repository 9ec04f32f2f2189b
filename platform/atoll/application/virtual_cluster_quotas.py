"""The quota of a virtual cluster about to change: what that would do, and whether it was confirmed."""

from collections.abc import Iterable

from atoll.application.confirmations import refuse_unconfirmed
from atoll.contract.virtual_clusters import (
    RayClusterFit,
    Refusal,
    VirtualClusterQuotaLine,
    VirtualClusterQuotaPreview,
)
from atoll.domain.lowering import describe_over
from atoll.domain.virtual_cluster_previews import Preview, preview
from atoll.errors import FieldProblem
from atoll.resources.meta import revision_of
from atoll.resources.virtual_clusters import VirtualCluster, VirtualClusterSpec


def quota_preview(
    before: VirtualCluster, wanted: VirtualClusterSpec, refused: Iterable[FieldProblem]
) -> VirtualClusterQuotaPreview:
    """What the quota of `wanted` would do to a virtual cluster as it is."""
    return _read(before, _outcome(before, wanted), refused)


def confirm_quota(before: VirtualCluster, wanted: VirtualClusterSpec, given: str | None) -> None:
    """Raise ConfirmationNeededError when more would be over the quota of `wanted`, which is otherwise
    fine, than is over the present one, unless `given` names the preview of that.
    """
    outcome = _outcome(before, wanted)
    refuse_unconfirmed(
        _read(before, outcome), given,
        over=f"virtual cluster {before.name!r} is used than the new quota allows: "
        f"{describe_over(outcome.lines, 'used')}",
        instead="delete what runs in it",
    )  # fmt: skip


def _outcome(before: VirtualCluster, wanted: VirtualClusterSpec) -> Preview:
    return preview(
        before.metadata.uid,
        before.spec.quota,
        wanted.quota,
        before.status.used,
        wanted.ray_clusters,
    )


def _read(
    before: VirtualCluster, outcome: Preview, refused: Iterable[FieldProblem] = ()
) -> VirtualClusterQuotaPreview:
    return VirtualClusterQuotaPreview(
        virtual_cluster=before.name,
        revision=revision_of(before.metadata.model_dump()),
        lines=[
            VirtualClusterQuotaLine(
                resource=line.resource, limit_before=line.limit_before,
                limit_after=line.limit_after, used=line.taken, over=line.over,
            )
            for line in outcome.lines
        ],
        no_longer_fit=[RayClusterFit(name=f.name, demand=f.demand) for f in outcome.no_longer_fit],
        refused=[Refusal(pointer=p.pointer, detail=p.detail, limit=p.limit) for p in refused],
        needs_confirmation=outcome.needs_confirmation,
        confirm=outcome.fingerprint,
    )  # fmt: skip
