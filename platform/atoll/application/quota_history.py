"""The history of teams' quotas: one QuotaRevision for each state, whoever wrote it (decision 0019)."""

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pydantic import ValidationError
from structlog.contextvars import get_contextvars

from atoll.application.callers import Caller
from atoll.application.idempotency import Idempotency
from atoll.application.validation import StoredInvalidError, stored
from atoll.cluster import kinds
from atoll.cluster.client import Cluster, Object
from atoll.domain.names import FIELD_MANAGER, LABEL_TEAM
from atoll.errors import ConflictError
from atoll.resources.meta import API_VERSION, now_text
from atoll.resources.quota_revisions import Cause, QuotaRevision
from atoll.telemetry import audit

ANNOTATION = "atoll.dev/quota-change"
"""On a team: who made its quota what it is, as JSON. Believed only while it fits the quota."""


@dataclass(frozen=True)
class Authorship:
    """Who changes a quota, and why. `label` and `body` are those of an Idempotency-Key."""

    by: str
    cause: Cause = "changed"
    note: str = ""
    request: str | None = None
    reverted_to: int | None = None
    request_id: str = ""
    label: str = ""
    body: str = ""

    def with_key(self, use: Idempotency | None) -> "Authorship":
        """The same, remembering the key it was asked with."""
        known = asdict(self)
        return Authorship(**known | {"label": use.label, "body": use.fingerprint}) if use else self

    def mark(self, team: Object) -> None:
        """Put it on a team that is about to be written, beside the quota that it explains."""
        told = {k: v for k, v in asdict(self).items() if v not in ("", None)}
        told |= {"at": now_text(), "quota": quota_print(team)}
        meta = team["metadata"]
        text = json.dumps(told, sort_keys=True)
        meta["annotations"] = {**(meta.get("annotations") or {}), ANNOTATION: text}


def author(caller: Caller, cause: Cause = "changed", note: str = "") -> Authorship:
    """The caller as the author of a change, with the request that is being served."""
    request_id = str(get_contextvars().get("request_id", ""))
    return Authorship(caller.name, cause, note, request_id=request_id)


def quota_of(team: Object) -> dict[str, Any]:
    """The lines of a team's quota as they are stored."""
    return dict((team.get("spec") or {}).get("quota") or {})


def quota_print(team: Object) -> str:
    """A short text that differs when a team's quota or parent does."""
    told = [quota_of(team), (team.get("spec") or {}).get("parent")]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def authorship_of(team: Object) -> tuple[Authorship, str]:
    """Who made the quota what it is, and when.

    What our annotation says while it fits; else the field manager that wrote last, as kubectl.
    """
    meta = team["metadata"]
    try:
        told = json.loads((meta.get("annotations") or {}).get(ANNOTATION, "{}"))
        if told.pop("quota", None) == quota_print(team):
            at = told.pop("at")
            return Authorship(**told), at
    except (ValueError, TypeError, KeyError, AttributeError):
        pass  # somebody else wrote the annotation; the field managers know more
    manager, at = _last_manager(meta.get("managedFields") or [])
    first = meta.get("generation", 0) <= 1
    when = at or (meta.get("creationTimestamp") if first else None) or now_text()
    return Authorship(manager, "created" if first else "changed"), when


def _last_manager(entries: Iterable[Mapping[str, Any]]) -> tuple[str, str | None]:
    """The manager of the newest write to the quota; of any write to the spec when none is known."""
    specs = [
        e for e in entries if not e.get("subresource") and "f:spec" in (e.get("fieldsV1") or {})
    ]
    quotas = [e for e in specs if "f:quota" in (e["fieldsV1"]["f:spec"] or {})]
    found = sorted(quotas or specs, key=lambda e: str(e.get("time") or ""))
    if not found:
        return "unknown", None
    name = str(found[-1].get("manager") or "unknown")
    return (f"{name} (past the API)" if name == FIELD_MANAGER else name), found[-1].get("time")


class QuotaHistory:
    """Reads and writes revisions. They are never changed; they go with their team."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def of(self, team: Object) -> list[QuotaRevision]:
        """All revisions of this very team, the oldest first."""
        name, uid = team["metadata"]["name"], team["metadata"]["uid"]
        found = await self._list({LABEL_TEAM: name})
        return sorted((r for r in found if r.spec.team_uid == uid), key=lambda r: r.spec.number)

    async def latest(self) -> dict[str, QuotaRevision]:
        """The newest revision of every team, by the team's uid."""
        found = sorted(await self._list({}), key=lambda r: r.spec.number)
        return {revision.spec.team_uid: revision for revision in found}

    async def _list(self, labels: dict[str, str]) -> list[QuotaRevision]:
        found = []
        for item in await self._cluster.items(kinds.QUOTA_REVISION, labels=labels):
            with contextlib.suppress(StoredInvalidError):  # one must not hide the others
                found.append(stored(QuotaRevision, item))
        return found

    async def record(self, team: Object) -> bool:
        """Write down the quota as this read of the team has it; True when it was new.

        Safe to repeat and from several processes: the name is that of the team's generation. Whoever
        writes it also writes the audit line.
        """
        known = await self.of(team)
        last = known[-1] if known else None
        number = team["metadata"].get("generation", 0)
        if last and (number <= last.spec.number or is_state_of(last, team)):
            return False
        author, at = authorship_of(team)
        try:
            await self._cluster.create(_manifest(team, number, author, at))
        except ValidationError:  # amounts that are none came past the API; a condition says so
            return False
        except ConflictError as error:
            if error.code == "exists":
                return False
            raise
        audit.write(
            "quota.changed",
            who=author.by,
            what=f"teams/{team['metadata']['name']}",
            before={"parent": last.spec.parent, "quota": _lines(last)} if last else None,
            after={"parent": (team.get("spec") or {}).get("parent"), "quota": quota_of(team)},
            request_id=author.request_id,
            number=number,
            cause=author.cause,
            note=author.note,
            quota_request=author.request,
        )
        return True


def _lines(revision: QuotaRevision) -> dict[str, Any]:
    return {name: line.dump() for name, line in revision.spec.quota.items()}


def is_state_of(revision: QuotaRevision, team: Object) -> bool:
    """Whether the team's quota and parent are those of the revision."""
    spec = team.get("spec") or {}
    return _lines(revision) == quota_of(team) and revision.spec.parent == spec.get("parent")


def _manifest(team: Object, number: int, author: Authorship, at: str) -> Object:
    meta = team["metadata"]
    told = {k: v for k, v in asdict(author).items() if k not in ("label", "body")}
    spec = {
        **told,
        "team": meta["name"],
        "team_uid": meta["uid"],
        "number": number,
        "at": at,
        "quota": quota_of(team),
        "parent": (team.get("spec") or {}).get("parent"),
    }
    name = f"{meta['name']}.{number}.{meta['uid'][:8]}"
    made = QuotaRevision.model_validate({"metadata": {"name": name}, "spec": spec})
    manifest = made.manifest()
    manifest["metadata"]["labels"] = {LABEL_TEAM: meta["name"]}
    manifest["metadata"]["ownerReferences"] = [
        {"apiVersion": API_VERSION, "kind": "Team", "name": meta["name"], "uid": meta["uid"]}
    ]
    if author.label:
        Idempotency(author.label, author.body).mark(manifest)
    return manifest
