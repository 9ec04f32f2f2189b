"""The password of the administrator of the virtual cluster's own Redis, and the way to a new one.

The Secret `redis` on the host says where the way has led: `password` is what we and new pods use, `next`
one that is being brought in, `previous` one that is being taken out. Redis admits all that stand there,
so whoever reads an older or a newer state of the Secret gets in, and every piece can be repeated.
"""

import base64
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from atoll.cluster.client import Object
from atoll.cluster.kinds import SECRET
from atoll.domain.gcs_store import password_hash
from atoll.domain.names import ANNOTATION_PASSWORD
from atoll_worker.reconcile.outcome import (
    AdmitPasswords,
    Change,
    Done,
    Outcome,
    Put,
    SpeakPassword,
    Wait,
)
from atoll_worker.reconcile.ports import Administrator
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step

SINCE = "atoll.dev/password-since"
"""Annotation: Unix time at which `password` took the place of `previous`."""
OVERLAP_SECONDS = 300.0
"""How long the previous one is taken on: the kubelet may take two minutes until pods see a new Secret."""
MADE_BY = "namespace"
"""Step label of the Secret, which another step makes first."""


@dataclass(frozen=True)
class Passwords:
    """What the Secret says."""

    current: str
    incoming: str = ""
    previous: str = ""
    version: int = 0
    since: float = 0.0

    @classmethod
    def of(cls, secret: Object) -> "Passwords":
        """Parsed; what is not there is empty or 0."""
        data = secret.get("data") or {}
        notes = secret["metadata"].get("annotations") or {}
        current, incoming, previous = (
            base64.b64decode(data.get(key, "")).decode() for key in ("password", "next", "previous")
        )
        version, since = notes.get(ANNOTATION_PASSWORD, "0"), notes.get(SINCE, "0")
        return cls(current, incoming, previous, int(version), float(since))

    def admitted(self, now: float) -> tuple[str, ...]:
        """What Redis must take at this time."""
        previous = "" if self.over(now) else self.previous
        return tuple(one for one in (self.current, self.incoming, previous) if one)

    def over(self, now: float) -> bool:
        """Whether the previous one has been taken for long enough."""
        return bool(self.previous) and now - self.since > OVERLAP_SECONDS

    def secret(self, namespace: str, labels: dict[str, str]) -> Object:
        """The Secret that says this."""
        said = {"password": self.current, "next": self.incoming, "previous": self.previous}
        notes = {ANNOTATION_PASSWORD: str(self.version), SINCE: str(self.since)}
        return {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": "redis", "namespace": namespace, "labels": labels, "annotations": notes,
            },
            "type": "Opaque",
            "data": {k: base64.b64encode(v.encode()).decode() for k, v in said.items() if v},
        }  # fmt: skip


@dataclass(frozen=True)
class Seen:
    """What the Secret says, and what every process does."""

    passwords: Passwords
    processes: tuple[Administrator, ...]
    now: float


class RedisPassword(Step):
    """A new password by raising `spec.redisPasswordVersion`; nothing restarts and no connection ends."""

    name, title = "redis-password", "Agree on the password of Redis"
    condition = "RedisPasswordReady"
    needs = ("RedisReady",)

    def applies(self, scope: Scope) -> bool:
        return scope.external is None

    async def observe(self, scope: Scope) -> Seen:
        secret = await scope.host.get(SECRET, "redis", scope.namespace)
        store = await scope.own_store()
        return Seen(Passwords.of(secret), tuple(await store.administrators()), time.time())

    def plan(self, scope: Scope, seen: Seen) -> list[Change]:
        change = next_change(seen, scope.vc.spec.redis_password_version)
        if isinstance(change, Passwords):
            return [Put(change.secret(scope.namespace, scope.labels(MADE_BY)))]
        return [change] if change else []

    def judge(self, scope: Scope, seen: Seen) -> Outcome:
        if next_change(seen, scope.vc.spec.redis_password_version):
            return Wait("ChangingPassword", "Redis takes the old password and the new one")
        if seen.passwords.incoming:
            silent = ", ".join(one.name for one in seen.processes if one.silent)
            return Wait("ChangingPassword", f"Waits for {silent}, which must take the new one too")
        if seen.passwords.previous:
            until = datetime.fromtimestamp(seen.passwords.since + OVERLAP_SECONDS, UTC)
            return Done(
                f"The new password is used; the old one is taken until {until:%H:%M:%S} UTC"
            )
        return Done("Redis and its Secret agree on the password")


def next_change(seen: Seen, wanted: int) -> AdmitPasswords | SpeakPassword | Passwords | None:
    """The next piece of the way: what Redis must do, or what the Secret must say. Pure but for the new
    password, and every piece leaves a state in which all who have read the Secret are let in.
    """
    said = seen.passwords
    if wanted > said.version and not said.incoming and not said.previous:
        fresh = secrets.token_urlsafe(32)
        return Passwords(said.current, fresh, "", said.version, said.since)
    admitted = said.admitted(seen.now)
    # A silent one reads the Secret when it starts, and is looked at again.
    answering = [one for one in seen.processes if not one.silent]
    if any(one.hashes != {password_hash(p) for p in admitted} for one in answering):
        return AdmitPasswords(admitted)
    if said.incoming and len(answering) < len(seen.processes):
        # One that is silent may live and take the old one alone: nobody could speak to it any more.
        return None
    spoken = said.incoming or said.current
    if any(one.speaks != password_hash(spoken) for one in answering):
        return SpeakPassword(spoken)
    if said.incoming:
        return Passwords(said.incoming, "", said.current, wanted, seen.now)
    if said.over(seen.now):
        return Passwords(said.current, "", "", said.version, said.since)
    return None
