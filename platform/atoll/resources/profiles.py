"""Profile: an admin-made, tested set of versions and defaults that a team may choose."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from atoll.domain.gcs_store import REDIS_ADDRESS, split_address
from atoll.domain.quantities import Quantity
from atoll.resources.meta import Condition, Model, Resource


class Chart(Model):
    """An upstream chart: where it comes from, which version, and what its archive must hash to."""

    repository: str
    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=250,
        description="Letters, digits, `.`, `_` and `-`, as in the chart's own Chart.yaml",
    )  # fmt: skip
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


class ExternalRedis(Model):
    """A Redis that somebody else runs. Its password is in a Secret, never here."""

    address: str = Field(description="host:port")
    tls: bool = Field(False, description="Whether it speaks TLS; needs ca.crt in the Secret")
    secret: str = Field(
        description="Secret of the platform's namespace: password, username (none: default), and ca.crt "
        "with tls"
    )
    users: Literal["each", "one"] = Field(
        "each",
        description="each: every Ray workload gets a user of its own, so ours must be allowed to manage "
        "users; one: all use the Secret's user, and nothing keeps them from one another's keys",
    )
    networks: list[str] = Field(
        default_factory=list,
        description="Address blocks where it answers; may be left out when address is an IP address",
    )

    @model_validator(mode="after")
    def _sound(self) -> Self:
        host, _ = split_address(self.address)
        for block in self.networks:
            ip_network(block)
        if not self.networks and _ip(host) is None:
            raise ValueError(
                f"networks is empty and {host!r} is a name: list the address blocks where it answers, as "
                "10.0.8.0/24, for the network policy of Ray heads knows no names"
            )
        return self

    @property
    def blocks(self) -> list[str]:
        """Address blocks where it answers."""
        address = _ip(split_address(self.address)[0])
        return self.networks or [str(ip_network(address))] if address else self.networks

    @property
    def ray_address(self) -> str:
        """As Ray takes it."""
        return f"rediss://{self.address}" if self.tls else self.address


def _ip(host: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


class RedisPart(Model):
    """The store of the fault-tolerant GCS."""

    image: str = "docker.io/library/redis:7"
    replicas: Literal[1, 3] = Field(
        1,
        description="1: one pod with a volume; 3: a primary and two replicas, and three Sentinels",
    )
    memory: Quantity = "128Mi"
    storage: Quantity = "1Gi"
    external: ExternalRedis | None = Field(
        None, description="A Redis that is there already, instead of one per virtual cluster"
    )

    @property
    def ray_address(self) -> str:
        """What Ray heads connect to."""
        return self.external.ray_address if self.external else REDIS_ADDRESS

    @property
    def place(self) -> str:
        """Where the state is kept, in a word: `own`, or the external address."""
        return self.external.address if self.external else "own"


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


VALID = "Valid"
"""The condition of a profile: whether virtual clusters can be made of it, as far as is known."""


class ProfileStatus(Model):
    """What is so."""

    observed_generation: int = 0
    conditions: list[Condition] = Field(default_factory=list)

    @property
    def valid(self) -> Condition:
        """The condition `Valid`; Unknown as long as nobody has looked."""
        found = (c for c in self.conditions if c.type == VALID)
        return next(found, Condition(type=VALID))


class Profile(Resource):
    """A tested set of versions."""

    KIND: ClassVar[str] = "Profile"
    PLURAL: ClassVar[str] = "profiles"
    COLUMNS: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("Kubernetes", "string", ".spec.kubernetes.version"),
        ("KubeRay", "string", ".spec.kuberay.chart.version"),
        ("Ray", "string", ".spec.ray.version"),
        ("Retired", "boolean", ".spec.retired"),
        ("Valid", "string", f'.status.conditions[?(@.type=="{VALID}")].status'),
    )

    spec: ProfileSpec
    status: ProfileStatus = Field(default_factory=ProfileStatus)
