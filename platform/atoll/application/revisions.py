"""Writing only what was read: revisions asked for by If-Match against the stored one."""

from atoll.cluster.client import Object
from atoll.errors import PreconditionError

Expected = frozenset[str] | None
"""The revisions a writer accepts; None means any."""


def check_revision(found: Object, expected: Expected) -> None:
    """Raise PreconditionError when the stored object is none of the expected revisions."""
    revision = found["metadata"]["resourceVersion"]
    if expected is not None and revision not in expected:
        raise changed(found)


def changed(found: Object) -> PreconditionError:
    """The error for an object that is not what the writer thinks."""
    name, revision = found["metadata"]["name"], found["metadata"]["resourceVersion"]
    return PreconditionError(
        f"{name!r} has changed since you read it; read it again and repeat the change",
        extra={"revision": revision},
    )
