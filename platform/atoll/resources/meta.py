"""What every custom resource of ours shares: metadata, conditions, the base model."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

GROUP = "atoll.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"

ConditionStatus = Literal["True", "False", "Unknown"]


class Model(BaseModel):
    """Base of all resource parts: camelCase outside, snake_case inside, unknown keys refused."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")

    def dump(self) -> dict[str, Any]:
        """As Kubernetes stores it: camelCase, without the fields that are None."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class Metadata(BaseModel):
    """The parts of Kubernetes' ObjectMeta that we read; others pass through untouched."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="allow")

    name: str
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    finalizers: list[str] = Field(default_factory=list)


def revision_of(metadata: Mapping[str, Any]) -> str:
    """The revision of an object, also its ETag; "" for one that is not stored.

    It moves when what people ask for moves (the generation), and not with status or a quota's ledger,
    which workers write every second. The uid keeps an object of the same name made anew apart.
    """
    uid = str(metadata.get("uid") or "")
    return f"{uid[:8]}.{metadata.get('generation', 0)}" if uid else ""


def is_of_same_object(revision: str, metadata: Mapping[str, Any]) -> bool:
    """Whether a revision is of this very object, now or before; not of another of its name."""
    return bool(revision) and revision.partition(".")[0] == revision_of(metadata).partition(".")[0]


class Condition(Model):
    """One thing that is true, false or unknown of an object, with a one-word reason and a message."""

    type: str
    status: ConditionStatus = "Unknown"
    reason: str = "NotLookedYet"
    message: str = ""
    last_transition_time: str = ""
    observed_generation: int = 0


class Resource(Model):
    """A custom resource of the group `atoll.dev`; all of ours are cluster-scoped."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="ignore")

    KIND: ClassVar[str]
    PLURAL: ClassVar[str]
    COLUMNS: ClassVar[tuple[tuple[str, str, str], ...]] = ()
    """Printer columns: (name, type, JSON path)."""
    RULES: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Rules of the spec that the API server itself holds: (CEL expression, message)."""
    OBJECT_RULES: ClassVar[tuple[tuple[str, str], ...]] = ()
    """The same over the whole object: `self.spec`, `self.status`, `self.metadata.name`."""

    metadata: Metadata

    @property
    def name(self) -> str:
        """The object's name."""
        return self.metadata.name

    def manifest(self) -> dict[str, Any]:
        """The spec as something to create or apply: no status, no server-made metadata."""
        meta: dict[str, Any] = {"name": self.name}
        if self.metadata.labels:
            meta["labels"] = self.metadata.labels
        if self.metadata.annotations:
            meta["annotations"] = self.metadata.annotations
        spec = self.model_dump(mode="json", by_alias=True, exclude_none=True)["spec"]
        return {"apiVersion": API_VERSION, "kind": self.KIND, "metadata": meta, "spec": spec}


def moment(text: str, otherwise: datetime) -> datetime:
    """A time that somebody may have written past our rules (RFC 3339, UTC without a zone); `otherwise` when
    it is none.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = otherwise
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def now_text() -> str:
    """The present moment as `time_text` writes it."""
    return time_text(datetime.now(UTC))


def time_text(moment: datetime) -> str:
    """A time that knows its zone as RFC 3339 in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
