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
    decision: Decision = "Pending"
    note: str = ""
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
        ("Age", "date", ".metadata.creationTimestamp"),
    )

    spec: QuotaRequestSpec
    status: QuotaRequestStatus = Field(default_factory=QuotaRequestStatus)
