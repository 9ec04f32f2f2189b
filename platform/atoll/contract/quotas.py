"""A team's quota on the wire: what it is, what a change would do, and what it was."""

from pydantic import Field

from atoll.domain.quantities import Quantity
from atoll.resources.meta import Model
from atoll.resources.quota_revisions import Cause
from atoll.resources.teams import QuotaLine


class QuotaUse(Model):
    """One resource of a team's quota. Amounts are Kubernetes quantities."""

    resource: str
    limit: str | None = Field(None, description="The team's own; absent where it names none")
    guaranteed: str | None = None
    reserved: str = Field(description="By virtual clusters of the team and of those below it")
    used: str | None = Field(
        None,
        description="By what runs in them, without the platform's own pods; absent until the follower "
        "has summed it up, and of what only an ancestor limits",
    )
    free: str = Field(
        description="What the team can still reserve, ancestors and guarantees counted"
    )
    bound_by: str = Field(description="The team whose limit makes it so: itself or an ancestor")


class QuotaRead(Model):
    """A team's quota. `revision` is also its ETag, and stays while only reservations change."""

    team: str
    revision: str
    parent: str | None = None
    quota: dict[str, QuotaLine]
    use: list[QuotaUse]


class QuotaWrite(Model):
    """A whole quota; a resource that is left out is limited by the ancestors alone."""

    quota: dict[str, QuotaLine]
    note: str = Field("", max_length=1000, description="For the history: why")


class QuotaRevert(Model):
    """Back to an earlier state; the parent stays as it is now."""

    number: int = Field(ge=0, description="Of the history")
    note: str = Field("", max_length=1000)


class QuotaLineChange(Model):
    """One resource before and after. An absent limit: the team names none."""

    resource: str
    limit_before: str | None = None
    limit_after: str | None = None
    guaranteed_before: str | None = None
    guaranteed_after: str | None = None
    reserved: str
    over: str = Field(description='How much more is reserved than the new limit; "0": it fits')


class QuotaHolder(Model):
    """A virtual cluster that a change concerns."""

    virtual_cluster: str
    team: str
    demand: dict[str, Quantity]
    ray_clusters: list[str] = Field(default_factory=list, description="Those its spec keeps")


class Confirmable(Model):
    """What a change of a quota would do. Nothing that runs is stopped by any of it."""

    revision: str = Field(description="Of what it starts from")
    needs_confirmation: bool = Field(description="More would be over the limits than is now")
    confirm: str = Field(description="Names this outcome; send it as ?confirm= when it is needed")


class QuotaPreview(Confirmable):
    """What a change would do. Nothing that runs is stopped by any of it."""

    team: str
    lines: list[QuotaLineChange]
    no_longer_fit: list[QuotaHolder] = Field(
        description="Hold what would not be let in again, the youngest first; they keep running"
    )
    would_be_admitted: list[QuotaHolder] = Field(description="Wait for quota and would get it")


class QuotaDifference(Model):
    """One line of a quota that a revision changed."""

    resource: str
    before: QuotaLine | None = None
    after: QuotaLine | None = None


class QuotaRevisionRead(Model):
    """One state of a team's quota, what it changed, who made it so, and why."""

    number: int
    team: str
    by: str
    at: str
    cause: Cause
    note: str = ""
    request: str | None = Field(None, description="The quota request that was approved")
    reverted_to: int | None = None
    request_id: str = ""
    parent: str | None = None
    parent_before: str | None = Field(None, description="Of the state before; absent for none")
    quota: dict[str, QuotaLine]
    changes: list[QuotaDifference]
