"""Profiles on the wire."""

from pydantic import Field

from atoll.contract.base import Envelope
from atoll.resources.meta import Model
from atoll.resources.profiles import ProfileSpec, ProfileStatus


class ProfileCreate(Model):
    """A new profile."""

    name: str
    spec: ProfileSpec


class ProfileRead(Envelope):
    """A profile as it is."""

    spec: ProfileSpec
    status: ProfileStatus = Field(default_factory=ProfileStatus)
