"""VirtualCluster: one vcluster owned by one team, with Ray ready in it."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from atoll.domain.quantities import Quantity
from atoll.resources.meta import Condition, Model, Resource

Mode = Literal["dedicated", "shared"]
Phase = Literal["Pending", "Provisioning", "Ready", "Degraded", "Failed", "Deleting"]
StepState = Literal["waiting", "running", "done", "failed"]


class RayClusterSpec(Model):
    """A Ray cluster that is kept as long as the virtual cluster asks for it."""

    name: str
    workers: int = Field(1, ge=0, description="Number of worker pods")
    head_cpu: Quantity = "500m"
    head_memory: Quantity = "2Gi"
    worker_cpu: Quantity = "1"
    worker_memory: Quantity = "2Gi"
    worker_gpus: int = Field(0, ge=0)


class VirtualClusterSpec(Model):
    """What a team wants."""

    team: str
    profile: str = "default"
    mode: Mode = "dedicated"
    replica_sets: dict[str, int] = Field(
        default_factory=dict,
        description="Dedicated mode: node template -> number of host nodes to own",
    )
    divisible: bool = False
    quota: dict[str, Quantity] = Field(
        default_factory=dict,
        description="What it may hold on the host; taken from the team's quota",
    )
    ray_clusters: list[RayClusterSpec] = Field(default_factory=list)
    drain_deadline_seconds: int | None = Field(
        None,
        ge=0,
        le=604800,
        description="After this long, pods on nodes that are given back are deleted, whatever their "
        "PodDisruptionBudgets say; absent: never",
    )
    redis_password_version: int = Field(
        0, ge=0, description="Raise it to have the password of its Redis made anew"
    )
    values: dict[str, Any] = Field(
        default_factory=dict,
        description="Extra values of the vcluster chart; those the open build ignores are refused",
        json_schema_extra={"x-kubernetes-preserve-unknown-fields": True},
    )


class StepStatus(Model):
    """One step of the way, as the timeline shows it. Times are RFC 3339 with milliseconds."""

    name: str
    title: str
    state: StepState = "waiting"
    reason: str = ""
    message: str = ""
    started_at: str | None = None
    finished_at: str | None = None


class VirtualClusterStatus(Model):
    """What is so. Written only by the worker that holds the lease."""

    phase: Phase = "Pending"
    observed_generation: int = 0
    fence: int = 0
    conditions: list[Condition] = Field(default_factory=list)
    steps: list[StepStatus] = Field(default_factory=list)
    operation_started_at: str | None = None
    namespace: str | None = None
    nodes: list[str] = Field(default_factory=list)
    kubernetes_version: str | None = None
    scheduler: str | None = Field(None, description="The gang scheduler it was let in with")
    gcs_store: str | None = Field(
        None,
        description="Where its Ray heads keep their state: own, or an external Redis's address",
    )
    used: dict[str, Quantity] = Field(
        default_factory=dict, description="What the team's own objects hold on the host"
    )
    free: dict[str, Quantity] = Field(
        default_factory=dict, description="What is left of the quota, by resource of the quota"
    )
    retry_at: str | None = None
    failures: int = 0


class VirtualCluster(Resource):
    """One vcluster owned by one team."""

    KIND: ClassVar[str] = "VirtualCluster"
    PLURAL: ClassVar[str] = "virtualclusters"
    COLUMNS: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("Team", "string", ".spec.team"),
        ("Profile", "string", ".spec.profile"),
        ("Phase", "string", ".status.phase"),
        ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status'),
        ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason'),
        ("Age", "date", ".metadata.creationTimestamp"),
    )

    RULES: ClassVar[tuple[tuple[str, str], ...]] = (
        ("self.team == oldSelf.team", "team cannot be changed; make a new virtual cluster"),
        ("self.mode == oldSelf.mode", "mode cannot be changed; make a new virtual cluster"),
    )

    spec: VirtualClusterSpec
    status: VirtualClusterStatus = Field(default_factory=VirtualClusterStatus)

    @property
    def operation_id(self) -> str:
        """The way from this generation to its observed state: `<uid>.<generation>`."""
        return f"{self.metadata.uid}.{self.metadata.generation}"

    @property
    def deleting(self) -> bool:
        """Whether its deletion was asked for."""
        return self.metadata.deletion_timestamp is not None

    def condition(self, kind: str) -> Condition:
        """The condition of that type; an unknown one when it was never set."""
        found = (c for c in self.status.conditions if c.type == kind)
        return next(found, Condition(type=kind))

    @property
    def converged(self) -> bool:
        """Ready, and for the generation that is asked for."""
        return (
            not self.deleting
            and self.status.observed_generation == self.metadata.generation
            and self.condition("Ready").status == "True"
        )
