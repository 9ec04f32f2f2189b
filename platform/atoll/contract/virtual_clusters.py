"""Virtual clusters on the wire."""

from pydantic import Field

from atoll.contract.base import Envelope
from atoll.contract.operations import OperationRef
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


class VirtualClusterEvent(Model):
    """One change, as the event stream carries it. `id` resumes the stream (Last-Event-ID)."""

    id: str
    type: str = Field(description="virtual-cluster.changed or virtual-cluster.deleted")
    object: VirtualClusterRead


class Credential(Model):
    """A short-lived token for the Kubernetes API of one virtual cluster."""

    token: str
    expires_at: str
