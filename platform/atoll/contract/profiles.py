"""Profiles on the wire."""

from atoll.contract.base import Envelope
from atoll.resources.meta import Model
from atoll.resources.profiles import ProfileSpec


class ProfileCreate(Model):
    """A new profile."""

    name: str
    spec: ProfileSpec


class ProfileRead(Envelope):
    """A profile as it is."""

    spec: ProfileSpec
