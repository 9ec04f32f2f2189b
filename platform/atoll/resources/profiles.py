"""Profile: an admin-made, tested set of versions and defaults that a team may choose."""

from typing import ClassVar, Literal

from pydantic import Field

from atoll.domain.quantities import Quantity
from atoll.resources.meta import Model, Resource


class Chart(Model):
    """An upstream chart: where it comes from, which version, and what its archive must hash to."""

    repository: str
    name: str
    version: str
    digest: str | None = Field(None, description="sha256:<hex> of the chart archive")


class KubernetesPart(Model):
    """The Kubernetes that the virtual cluster serves."""

    version: str = Field(description="Without v, e.g. 1.36.3")
    image: str = "ghcr.io/loft-sh/kubernetes"


class VclusterPart(Model):
    """The virtual control plane."""

    chart: Chart
    cpu: Quantity = Field("200m", description="Requested by the control plane")
    memory: Quantity = Field("512Mi", description="Requested by the control plane")
    memory_limit: Quantity = "2Gi"
    storage: Quantity = "2Gi"
    storage_class: str | None = None


class KuberayPart(Model):
    """The Ray operator inside."""

    chart: Chart


SchedulerName = Literal["volcano", "yunikorn"]
"""The names of `atoll.domain.schedulers.SCHEDULERS`."""


class SchedulerPart(Model):
    """The gang scheduler."""

    name: SchedulerName = "volcano"
    chart: Chart


class RayPart(Model):
    """The Ray that Ray clusters run unless they say otherwise."""

    version: str
    image: str = "docker.io/rayproject/ray"


class RedisPart(Model):
    """The store of the fault-tolerant GCS."""

    image: str = "docker.io/library/redis:7"
    replicas: Literal[1, 3] = Field(
        1,
        description="1: one pod with a volume; 3: a primary and two replicas, and three Sentinels",
    )
    memory: Quantity = "128Mi"
    storage: Quantity = "1Gi"


class ProfileSpec(Model):
    """Versions and defaults."""

    description: str = ""
    retired: bool = Field(False, description="No new virtual clusters; existing ones keep running")
    kubernetes: KubernetesPart
    vcluster: VclusterPart
    kuberay: KuberayPart
    scheduler: SchedulerPart
    ray: RayPart
    redis: RedisPart = Field(default_factory=RedisPart)
    registry: str | None = Field(None, description="Mirror that stands in front of every image")


class Profile(Resource):
    """A tested set of versions."""

    KIND: ClassVar[str] = "Profile"
    PLURAL: ClassVar[str] = "profiles"
    COLUMNS: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("Kubernetes", "string", ".spec.kubernetes.version"),
        ("KubeRay", "string", ".spec.kuberay.chart.version"),
        ("Ray", "string", ".spec.ray.version"),
        ("Retired", "boolean", ".spec.retired"),
    )

    spec: ProfileSpec
