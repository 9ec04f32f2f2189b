"""Teams on the wire."""

from pydantic import Field

from atoll.contract.base import Envelope
from atoll.resources.meta import Model
from atoll.resources.teams import TeamSpec, TeamStatus


class TeamCreate(Model):
    """A new team."""

    name: str
    spec: TeamSpec = Field(default_factory=TeamSpec)


class TeamRead(Envelope):
    """A team as it is."""

    spec: TeamSpec
    status: TeamStatus
