"""The shapes every answer of the API shares."""

from typing import Any, Generic, TypeVar

from pydantic import Field

from atoll.resources.meta import Model

T = TypeVar("T")


class Envelope(Model):
    """What every object has. `revision` is also its ETag; it changes with what is asked for,
    not with what becomes of it.
    """

    name: str
    uid: str
    revision: str
    generation: int
    created_at: str | None = None
    deleting_since: str | None = None


class Page(Model, Generic[T]):
    """A piece of a list. `next` is the opaque cursor of the following piece, absent at the end."""

    items: list[T]
    next: str | None = None


class Problem(Model):
    """RFC 9457 problem details; `code` is stable, `who_can_fix` says whose move it is."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    who_can_fix: str = Field(alias="who_can_fix")
    instance: str | None = None
    request_id: str | None = Field(None, alias="request_id")
    errors: list[dict[str, Any]] = Field(default_factory=list)
