"""What the OpenAPI document says of the parameters and headers of forwarded routes.

The gateway reads and judges them; a test holds these against what it takes.
"""

from typing import Any

from atoll.api.parameters import KEY_WORDS
from atoll.application.pages import LIMIT, LIMIT_MOST
from atoll.domain.names import RAY_NAMESPACE

Declared = dict[str, Any]
_TEXT = {"type": "string"}


def _parameter(
    name: str, words: str, schema: Declared, place: str = "query", *, required: bool = False
) -> Declared:
    """One parameter object of OpenAPI 3.1."""
    return {
        "name": name, "in": place, "required": required, "description": words,
        "schema": {**schema, "title": name.replace("_", " ").title()},
    }  # fmt: skip


def _or_none(schema: Declared) -> Declared:
    return {"anyOf": [schema, {"type": "null"}]}


def _in_path(name: str, words: str, **limits: int) -> Declared:
    return _parameter(name, words, {**_TEXT, **limits}, "path", required=True)


VIRTUAL_CLUSTER = _in_path("virtual_cluster", "Name of the virtual cluster")
RAY_CLUSTER = _in_path("name", "Name of the Ray cluster")
RAY_JOB = _in_path("name", "Name of the Ray job: Ray's submission id", maxLength=128)
KEY = _parameter("Idempotency-Key", KEY_WORDS, _or_none(_TEXT), "header")
IF_MATCH = _parameter(
    "if-match", "ETag of the version that is meant. Without it: any", _or_none(_TEXT), "header"
)
EXPIRES = _parameter(
    "expires", "Seconds for which the token is good",
    {"type": "integer", "minimum": 900, "maximum": 3600, "default": 3600},
)  # fmt: skip
LIMITED = _parameter(
    "limit", "Most items in one answer",
    {"type": "integer", "minimum": 1, "maximum": LIMIT_MOST, "default": LIMIT},
)  # fmt: skip
CURSOR = _parameter("cursor", "`next` of the page before", _or_none(_TEXT))
DRY_RUN = _parameter(
    "dry_run", "Check everything and write nothing", _or_none({**_TEXT, "const": "server"})
)
NAMESPACE = _parameter(
    "namespace", "Namespace inside the virtual cluster",
    {**_TEXT, "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$", "default": RAY_NAMESPACE},
)  # fmt: skip
POD = _parameter(
    "pod", "`head`, or the name of a pod of the Ray cluster", {**_TEXT, "default": "head"}
)
FOLLOW = _parameter(
    "follow", "Go on with what is written from now on", {"type": "boolean", "default": False}
)
TAIL = _parameter(
    "tail", "Only so many of the last lines",
    _or_none({"type": "integer", "minimum": 0, "maximum": 100_000}),
)  # fmt: skip
CLUSTER = _parameter("cluster", "Look on this Ray cluster only", _or_none(_TEXT))

PAGE = (LIMITED, CURSOR)
LOCATION = {"Location": {"description": "Where it can be read from now on", "schema": _TEXT}}
ETAG = {
    "ETag": {
        "description": "Its revision: moves with its spec and when its deletion is asked for, not "
        "with its state",
        "schema": _TEXT,
    }
}
INCOMPLETE = {
    "Atoll-Incomplete": {
        "description": "Ray clusters, with commas, that did not answer: their jobs are not listed. "
        "Absent when all did",
        "schema": _TEXT,
    }
}
