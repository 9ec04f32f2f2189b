"""Team: people with one quota."""

from typing import ClassVar, Literal

from pydantic import Field

from atoll.domain.quantities import Quantity
from atoll.resources.meta import Condition, Model, Resource
from atoll.resources.profiles import SchedulerName

Role = Literal["owner", "member", "viewer"]


class QuotaLine(Model):
    """How much of one resource a team may reserve. Units: those of Kubernetes quantities."""

    limit: Quantity = Field(
        description="Most that all virtual clusters of the team may hold together"
    )
    guaranteed: Quantity | None = Field(None, description="Share that no other team may use")


class Member(Model):
    """One person of a team, by the name the identity provider gives."""

    name: str
    role: Role = "member"


class TeamSpec(Model):
    """What an admin wants of a team."""

    display_name: str = ""
    parent: str | None = Field(
        None,
        description="Team of whose quota this one takes its share; what it holds counts towards every "
        "ancestor's limits. Cannot be changed while anything is reserved",
    )
    members: list[Member] = Field(default_factory=list)
    quota: dict[str, QuotaLine] = Field(
        default_factory=dict,
        description="By resource name: cpu, memory, storage, pods, services, nvidia.com/gpu, "
        "virtualclusters, rayclusters. What is not named is limited by the ancestors alone.",
    )
    profiles: list[str] = Field(
        default_factory=list, description="Profiles the team may choose; empty means all"
    )
    schedulers: list[SchedulerName] = Field(
        default_factory=list,
        description="Gang schedulers the team's profiles may have; empty means all",
    )


class TeamStatus(Model):
    """What is so."""

    observed_generation: int = 0
    conditions: list[Condition] = Field(default_factory=list)
    reservations: dict[str, dict[str, Quantity]] = Field(
        default_factory=dict, description="Virtual cluster -> what it holds of the quota"
    )
    reserved: dict[str, Quantity] = Field(default_factory=dict, description="Sum of reservations")
    changing: str | None = Field(
        None, description="Of a root team: the change of a quota in its tree that is being written"
    )
    used: dict[str, Quantity] = Field(
        default_factory=dict, description="Sum of what its virtual clusters use on the host"
    )
    free: dict[str, Quantity] = Field(
        default_factory=dict,
        description="What it can still reserve, ancestors and guarantees of others counted",
    )


class Team(Resource):
    """People with one quota, which may be a share of another team's."""

    KIND: ClassVar[str] = "Team"
    PLURAL: ClassVar[str] = "teams"
    COLUMNS: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("Parent", "string", ".spec.parent"),
        ("CPU", "string", ".spec.quota.cpu.limit"),
        ("Reserved", "string", ".status.reserved.cpu"),
        ("Memory", "string", ".spec.quota.memory.limit"),
        ("Age", "date", ".metadata.creationTimestamp"),
    )

    OBJECT_RULES: ClassVar[tuple[tuple[str, str], ...]] = (
        (
            "!has(self.spec.parent) || self.spec.parent != self.metadata.name",
            "a team cannot be its own parent",
        ),
        (
            '(has(self.spec.parent) ? self.spec.parent : "") == '
            '(has(oldSelf.spec.parent) ? oldSelf.spec.parent : "") || '
            "!has(self.status) || !has(self.status.reservations) || "
            "size(self.status.reservations) == 0",
            "parent cannot be changed while virtual clusters of the team, or of teams below it, hold "
            "quota; delete them first",
        ),
    )

    spec: TeamSpec = Field(default_factory=TeamSpec)
    status: TeamStatus = Field(default_factory=TeamStatus)
