"""QuotaRequest: a team asks for more; an admin approves or refuses with a note."""

from typing import ClassVar, Literal

from pydantic import Field

from atoll.domain.quantities import Quantity
from atoll.resources.meta import Condition, Model, Resource

Decision = Literal["Pending", "Approved", "Refused"]


class QuotaRequestSpec(Model):
    """What is asked and why."""

    team: str
    quota: dict[str, Quantity] = Field(description="The limits wanted, by resource name")
    reason: str = ""
    requested_by: str = ""
    expires_at: str | None = Field(
        None, description="RFC 3339; after it a pending request is not decided any more"
    )
    decision: Decision = "Pending"
    note: str = Field("", description="From whoever decides, for whoever asked")
    decided_by: str = ""


class QuotaRequestStatus(Model):
    """What came of it."""

    observed_generation: int = 0
    conditions: list[Condition] = Field(default_factory=list)


class QuotaRequest(Resource):
    """A request for a larger quota."""

    KIND: ClassVar[str] = "QuotaRequest"
    PLURAL: ClassVar[str] = "quotarequests"
    COLUMNS: ClassVar[tuple[tuple[str, str, str], ...]] = (
        ("Team", "string", ".spec.team"),
        ("Decision", "string", ".spec.decision"),
        ("Applied", "string", '.status.conditions[?(@.type=="Applied")].status'),
        ("Age", "date", ".metadata.creationTimestamp"),
    )

    RULES: ClassVar[tuple[tuple[str, str], ...]] = (
        (
            "self.team == oldSelf.team && self.quota == oldSelf.quota",
            "what is asked cannot be changed; make a new request",
        ),
        (
            "oldSelf.decision == 'Pending' || self.decision == oldSelf.decision",
            "a decision is final; change the team's quota instead",
        ),
    )

    spec: QuotaRequestSpec
    status: QuotaRequestStatus = Field(default_factory=QuotaRequestStatus)
