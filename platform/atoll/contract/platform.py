"""The platform itself on the wire: who is calling, and how it is."""

from typing import Literal

from pydantic import Field

from atoll.resources.meta import Model

NO_WORKER = (
    "changes are accepted, and nothing happens until a worker runs; an admin can start one or look at "
    "its log"
)
"""What it means that no worker answers, for health and for people."""


class WhoAmI(Model):
    """The caller, as the API knows them."""

    name: str
    roles: list[str]


class PartHealth(Model):
    """One part the API depends on."""

    ok: bool
    message: str


class Health(Model):
    """How the platform is. "degraded" still answers what it can; the messages say what is missing."""

    status: Literal["ok", "degraded"]
    version: str
    parts: dict[str, PartHealth] = Field(description="kubernetes, queue, workers, gateway")
