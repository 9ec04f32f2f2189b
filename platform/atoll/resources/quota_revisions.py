"""QuotaRevision: what a team's quota was from one moment on, who made it so, and why."""

from typing import ClassVar, Literal

from pydantic import Field

from atoll.resources.meta import Model, Resource
from atoll.resources.teams import QuotaLine

Cause = Literal["created", "changed", "reverted", "requested"]


class QuotaRevisionSpec(Model):
    """One state of a team's quota. Never changed after it was written."""

    team: str
    team_uid: str
    number: int = Field(ge=0, description="The team's generation from which on it was so")
    quota: dict[str, QuotaLine] = Field(default_factory=dict)
    parent: str | None = None
    by: str = Field(
        description="The caller; for a change past the API the field manager, as kubectl"
    )
    at: str = Field(description="RFC 3339")
    cause: Cause = "changed"
    note: str = ""
    request: str | None = Field(None, description="The QuotaRequest that was approved")
    reverted_to: int | None = Field(None, description="The number that was gone back to")
    request_id: str = Field("", description="Of the API's request; every line of the log has it")


class QuotaRevision(Resource):
    """One line of a team's quota history. It goes with its team."""

    KIND: ClassVar[str] = "QuotaRevision"
    PLURAL: ClassVar[str] = "quotarevisions"
    COLUMNS: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("Team", "string", ".spec.team"),
        ("Number", "integer", ".spec.number"),
        ("By", "string", ".spec.by"),
        ("Cause", "string", ".spec.cause"),
        ("Age", "date", ".metadata.creationTimestamp"),
    )
    RULES: ClassVar[tuple[tuple[str, str], ...]] = (
        ("self == oldSelf", "history is not changed; revert the team's quota instead"),
    )

    spec: QuotaRevisionSpec
