"""Virtual clusters on the wire."""

from pydantic import Field

from atoll.contract.base import Envelope
from atoll.contract.operations import OperationRef
from atoll.contract.quotas import Confirmable
from atoll.domain.quantities import Quantity
from atoll.resources.meta import Model
from atoll.resources.virtual_clusters import VirtualClusterSpec, VirtualClusterStatus


class VirtualClusterCreate(Model):
    """A new virtual cluster."""

    name: str
    spec: VirtualClusterSpec


class VirtualClusterRead(Envelope):
    """A virtual cluster as it is, and the operation of its present generation."""

    spec: VirtualClusterSpec
    status: VirtualClusterStatus
    operation: OperationRef


class VirtualClusterQuotaWrite(Model):
    """A whole quota of a virtual cluster, to be looked at before it is set by a PATCH."""

    quota: dict[str, Quantity]


class VirtualClusterQuotaLine(Model):
    """One resource before and after. An absent amount: the quota does not name it."""

    resource: str
    limit_before: str | None = None
    limit_after: str | None = None
    used: str = Field(description="By what runs in it now")
    over: str = Field(description='How much more is used than the new limit; "0": it fits')


class RayClusterFit(Model):
    """A Ray cluster of the spec and what it takes of the quota."""

    name: str
    demand: dict[str, Quantity]


class Refusal(Model):
    """Why a PATCH with this quota would be refused: one field, and the limit where there is one."""

    pointer: str
    detail: str
    limit: str | None = None


class VirtualClusterQuotaPreview(Confirmable):
    """What a quota would do. Nothing that runs is stopped by any of it."""

    virtual_cluster: str
    lines: list[VirtualClusterQuotaLine]
    no_longer_fit: list[RayClusterFit] = Field(
        description="Ray clusters of the spec that would find no room, filled in again in their order"
    )
    refused: list[Refusal] = Field(description="Empty when a PATCH would be accepted now")


class VirtualClusterEvent(Model):
    """One change, as the event stream carries it. `id` resumes the stream (Last-Event-ID)."""

    id: str
    type: str = Field(description="virtual-cluster.changed or virtual-cluster.deleted")
    object: VirtualClusterRead


class Credential(Model):
    """A short-lived token for the Kubernetes API of one virtual cluster."""

    token: str
    expires_at: str
