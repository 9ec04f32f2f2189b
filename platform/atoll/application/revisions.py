"""Writing only what was read: revisions asked for by If-Match against the stored one."""

import re

from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import kind_of
from atoll.errors import FieldProblem, InvalidError, PreconditionError, StaleWriteError
from atoll.resources.meta import revision_of

Expected = frozenset[str] | None
"""The revisions a writer accepts; None means any."""
HEADER = "/header/If-Match"
"""Where a problem says that the revisions came from."""
_TRIES = 20
_TAG = re.compile(r'\s*(?:W/)?"([\x21\x23-\x7e]*)"\s*(?:,|$)')


def expected_of(header: str) -> Expected:
    """The revisions that an If-Match header names; None for `*`. InvalidError when it is no such header."""
    if header.strip() == "*":
        return None
    tags, position = [], 0
    while position < len(header):
        found = _TAG.match(header, position)
        if not found:
            raise InvalidError(
                'If-Match must be `*` or quoted revisions, such as `"1234"`',
                fields=(FieldProblem(HEADER, "is not a list of entity tags"),),
            )
        tags.append(found[1])
        position = found.end()
    return frozenset(tags)


def check_revision(found: Object, expected: Expected, what: str | None = None) -> None:
    """Raise PreconditionError when the stored object is none of the expected revisions.

    `what` names it in the error; its own name unless said.

    The write that follows is tied to the resourceVersion of `found`, so that nothing is lost. When it
    is refused because somebody wrote first, read again and come here again: a status that moved is no
    reason to refuse, a wish that moved is.
    """
    revision = revision_of(found["metadata"])
    if expected is None or revision in expected:
        return
    raise PreconditionError(
        f"{what or repr(found['metadata']['name'])} has changed since you read it; read it again and "
        "repeat the change",
        fields=(FieldProblem(HEADER, f"does not name the present revision, {revision!r}"),),
        extra={"revision": revision},
    )


async def replace_spec(cluster: Cluster, wanted: Object) -> Object:
    """Write the spec of `wanted`, an object as it was read with another spec.

    Compare and set; when only status or metadata moved meanwhile, again over those. StaleWriteError
    when the spec did, or the object is another one.
    """
    for _ in range(_TRIES):
        try:
            return await cluster.replace(wanted)
        except StaleWriteError:
            now = await cluster.find(kind_of(wanted), wanted["metadata"]["name"])
            if now is None or revision_of(now["metadata"]) != revision_of(wanted["metadata"]):
                raise
            wanted = {**now, "spec": wanted["spec"]}
    raise StaleWriteError(
        f"{wanted['metadata']['name']!r} changes too often just now; try again in a moment"
    )
