"""Idempotency-Key without a second store: the created object itself remembers the key.

A label holds the hash of caller, route and key; an annotation holds the fingerprint of the body. A
repeat within 24 hours finds the object. When the object was deleted in between, it is made anew.
"""

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from weakref import WeakValueDictionary

from pydantic import BaseModel

from atoll.application.callers import Caller
from atoll.cluster.client import Cluster, Object
from atoll.cluster.kinds import Kind
from atoll.errors import FieldProblem, InvalidError

LABEL = "atoll.dev/idempotency"
ANNOTATION = "atoll.dev/idempotency-body"
LIFETIME = timedelta(hours=24)
"""How long a key is remembered."""
_KEY = re.compile(r"^[\x21-\x7e]{1,255}$")
_locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()


@dataclass(frozen=True)
class Idempotency:
    """One use of a key: `label` finds the object, `fingerprint` tells whether the body is the same."""

    label: str
    fingerprint: str

    def mark(self, manifest: Object) -> None:
        """Make the object remember."""
        meta = manifest["metadata"]
        meta["labels"] = {**meta.get("labels", {}), LABEL: self.label}
        meta["annotations"] = {**meta.get("annotations", {}), ANNOTATION: self.fingerprint}

    def check(self, fingerprint: str | None) -> None:
        """Raise InvalidError when an earlier request with this key had another body."""
        if fingerprint != self.fingerprint:
            raise InvalidError(
                "This Idempotency-Key was used with another body in the last 24 hours; repeat the "
                "first body, or take a new key for a new request",
                code="idempotency_mismatch",
                fields=(FieldProblem("/header/Idempotency-Key", "was used with another body"),),
            )


def idempotency(caller: Caller, route: str, key: str | None, body: BaseModel) -> Idempotency | None:
    """The use of this key, or None without one. Raises InvalidError on a key that is none."""
    if key is None:
        return None
    if not _KEY.match(key):
        raise InvalidError(
            "Idempotency-Key must be 1 to 255 visible ASCII characters, such as a UUID",
            fields=(FieldProblem("/header/Idempotency-Key", "is not a key", "255"),),
        )
    scope = json.dumps([caller.name, route, key])
    text = json.dumps(body.model_dump(mode="json", by_alias=True), sort_keys=True)
    return Idempotency(_hash(scope)[:63], _hash(text))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@asynccontextmanager
async def one_at_a_time(use: Idempotency | None) -> AsyncIterator[None]:
    """Two requests with one key in this process run one after the other."""
    if use is None:
        yield
        return
    lock = _locks.setdefault(use.label, asyncio.Lock())
    async with lock:
        yield


async def find_earlier(cluster: Cluster, kind: Kind, use: Idempotency | None) -> Object | None:
    """What an earlier request with this key made. Raises InvalidError when its body was another."""
    if use is None:
        return None
    for found in await cluster.items(kind, labels={LABEL: use.label}):
        if not _recent(found):
            continue
        use.check(found["metadata"].get("annotations", {}).get(ANNOTATION))
        return found
    return None


def _recent(found: Object) -> bool:
    made = datetime.fromisoformat(found["metadata"]["creationTimestamp"])
    return datetime.now(UTC) - made < LIFETIME
