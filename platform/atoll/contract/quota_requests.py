"""Requests for a larger quota on the wire."""

from typing import Literal

from pydantic import Field

from atoll.contract.base import Envelope
from atoll.domain.quantities import Quantity
from atoll.resources.meta import Model
from atoll.resources.quota_requests import QuotaRequestSpec, QuotaRequestStatus

RequestState = Literal["pending", "approved", "applied", "failed", "refused", "expired", "obsolete"]


class QuotaRequestCreate(Model):
    """What a team asks for."""

    team: str
    quota: dict[str, Quantity] = Field(description="The limits wanted, by resource name")
    reason: str = Field("", max_length=2000)
    days: int = Field(30, ge=1, le=365, description="How long it may wait to be decided")


class QuotaDecision(Model):
    """A word for whoever asked."""

    note: str = Field("", max_length=2000)


class QuotaAsk(Model):
    """One line that is asked for. `now` is the team's limit; absent when it names none."""

    resource: str
    asked: str
    now: str | None = None


class QuotaRequestRead(Envelope):
    """A request as it is. `state` counts in time and the team's quota of now."""

    spec: QuotaRequestSpec
    status: QuotaRequestStatus
    state: RequestState = Field(
        description="approved: decided and about to be applied; failed: approved and cannot be applied, "
        "`message` says why; obsolete: the team has as much already, or is gone"
    )
    message: str = ""
    lines: list[QuotaAsk]
