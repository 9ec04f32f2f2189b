"""Requests for a larger quota: ask, approve, refuse. The decision is the request's spec; what came of
it is its status, so a crash after the decision is seen and finished (`apply`).
"""

import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from atoll.application.callers import Caller, may_see
from atoll.application.idempotency import find_earlier, idempotency, one_at_a_time
from atoll.application.pages import PageAsk, piece
from atoll.application.quota_changes import QuotaChanges
from atoll.application.quota_grants import QuotaGrants, raised, request_read
from atoll.application.revisions import Expected, check_revision
from atoll.application.validation import (
    StoredInvalidError,
    can_exist,
    refuse_if_any,
    stored,
)
from atoll.cluster import kinds
from atoll.cluster.client import Cluster, Object
from atoll.contract.base import Page
from atoll.contract.quota_requests import (
    QuotaDecision,
    QuotaRequestCreate,
    QuotaRequestRead,
    RequestState,
)
from atoll.domain.names import LABEL_TEAM
from atoll.domain.quantities import parse_quantity
from atoll.domain.quotas import resource_problem
from atoll.errors import ConflictError, FieldProblem, NotFoundError, StaleWriteError
from atoll.resources.faults import pointer
from atoll.resources.meta import Metadata
from atoll.resources.quota_requests import QuotaRequest, QuotaRequestSpec
from atoll.resources.teams import Team
from atoll.telemetry import audit
from atoll.telemetry.logs import about

_TRIES = 8
Verdict = Literal["Approved", "Refused"]


class QuotaRequests:
    """Use cases of quota requests. Every method raises errors of `atoll.errors`."""

    def __init__(self, cluster: Cluster, changes: QuotaChanges, grants: QuotaGrants) -> None:
        self._cluster = cluster
        self._changes = changes
        self._grants = grants

    async def page(
        self,
        caller: Caller,
        ask: PageAsk | None = None,
        *,
        team: str | None = None,
        state: RequestState | None = None,
    ) -> Page[QuotaRequestRead]:
        """A piece of the requests the caller may see, by name, of one team or state or of all."""
        teams = {t["metadata"]["name"]: t for t in await self._cluster.items(kinds.TEAM)}
        found = []
        for item in await self._cluster.items(kinds.QUOTA_REQUEST):
            try:
                request = stored(QuotaRequest, item)
            except StoredInvalidError:
                continue  # one broken request must not hide the others
            if may_see(caller, request.spec.team) and team in (None, request.spec.team):
                told = request_read(request, teams.get(request.spec.team))
                if state in (None, told.state):
                    found.append(told)
        return piece(found, ask or PageAsk())

    async def get(self, caller: Caller, name: str) -> QuotaRequestRead:
        """One request."""
        return await self._read(await self._find(caller, name))

    async def create(
        self,
        caller: Caller,
        wanted: QuotaRequestCreate,
        *,
        key: str | None = None,
        dry_run: bool = False,
    ) -> QuotaRequestRead:
        """Ask for more. InvalidError names lines that are no more than the team has."""
        use = idempotency(caller, "POST /v1/quota-requests", key, wanted)
        async with one_at_a_time(use):
            if earlier := await find_earlier(self._cluster, kinds.QUOTA_REQUEST, use):
                return await self._read(earlier)
            await self._check(caller, wanted)
            request = _new(caller, wanted)
            if dry_run:
                team = await self._cluster.find(kinds.TEAM, wanted.team)
                return request_read(request, team)
            manifest = request.manifest()
            manifest["metadata"]["labels"] = {LABEL_TEAM: wanted.team}
            if use:
                use.mark(manifest)
            made = await self._cluster.create(manifest)
        _audit("quota-request.created", caller, made, before=None, after=request.spec.dump())
        return await self._read(made)

    async def approve(
        self, caller: Caller, name: str, decision: QuotaDecision, *, expected: Expected
    ) -> QuotaRequestRead:
        """Give what is asked, at once. Refused with words when the quota may not be so.

        Repeating it is fine. ConflictError (code "request_closed") when it was refused, has expired or
        is obsolete.
        """
        decided = await self._decide(caller, name, decision, "Approved", expected)
        await self._grants.apply(decided)
        return await self._read(await self._find(caller, name))

    async def refuse(
        self, caller: Caller, name: str, decision: QuotaDecision, *, expected: Expected
    ) -> QuotaRequestRead:
        """Say no, with a note. Nothing else changes."""
        return await self._read(await self._decide(caller, name, decision, "Refused", expected))

    async def _decide(
        self, caller: Caller, name: str, decision: QuotaDecision, verdict: Verdict,
        expected: Expected,
    ) -> Object:  # fmt: skip
        said = {"decision": verdict, "note": decision.note, "decidedBy": caller.name}
        for _ in range(_TRIES):
            found = await self._find(caller, name)
            request = stored(QuotaRequest, found)
            if request.spec.decision == verdict:
                return found
            check_revision(found, expected)
            self._refuse_closed(await self._read(found), verdict)
            if verdict == "Approved":
                team = await self._cluster.get(kinds.TEAM, request.spec.team)
                await self._changes.check(team, raised(team, request.spec.quota))
            wanted = {**found, "spec": {**found["spec"], **said}}
            try:
                made = await self._cluster.replace(wanted)
            except StaleWriteError:
                continue
            event = f"quota-request.{verdict.lower()}"
            _audit(event, caller, made, before={"decision": request.spec.decision}, after=said)
            return made
        raise StaleWriteError(f"Request {name!r} changes too often just now; try again in a moment")

    def _refuse_closed(self, told: QuotaRequestRead, verdict: Verdict) -> None:
        closed = told.state not in ("pending", "obsolete") or (
            told.state == "obsolete" and verdict == "Approved"
        )
        if closed:
            raise ConflictError(
                f"Request {told.name!r} cannot be decided: {told.message or f'it is {told.state}'}. "
                "Make a new request, or set the team's quota itself.",
                code="request_closed",
                extra={"state": told.state},
            )

    async def _check(self, caller: Caller, wanted: QuotaRequestCreate) -> None:
        found = None
        if can_exist(wanted.team) and may_see(caller, wanted.team):
            about(team=wanted.team)
            found = await self._cluster.find(kinds.TEAM, wanted.team)
        if found is None:
            refuse_if_any([FieldProblem("/team", f"there is no team {wanted.team!r}; name yours")])
            return
        refuse_if_any(list(_ask_problems(stored(Team, found), wanted)))

    async def _read(self, item: Object) -> QuotaRequestRead:
        request = stored(QuotaRequest, item)
        team = None
        if can_exist(request.spec.team):
            team = await self._cluster.find(kinds.TEAM, request.spec.team)
        return request_read(request, team)

    async def _find(self, caller: Caller, name: str) -> Object:
        found = await self._cluster.find(kinds.QUOTA_REQUEST, name) if can_exist(name) else None
        if found is None or not may_see(caller, str(found["spec"].get("team", ""))):
            raise NotFoundError(f"There is no quota request {name!r}, or you may not see it")
        about(team=str(found["spec"]["team"]))
        return found


def _new(caller: Caller, wanted: QuotaRequestCreate) -> QuotaRequest:
    end = datetime.now(UTC) + timedelta(days=wanted.days)
    spec = QuotaRequestSpec(
        team=wanted.team,
        quota=wanted.quota,
        reason=wanted.reason,
        requested_by=caller.name,
        expires_at=end.isoformat(timespec="seconds").replace("+00:00", "Z"),
    )
    name = f"{wanted.team}-{secrets.token_hex(4)}"
    return QuotaRequest(metadata=Metadata(name=name), spec=spec)


def _ask_problems(team: Team, wanted: QuotaRequestCreate) -> Iterable[FieldProblem]:
    if not wanted.quota:
        yield FieldProblem("/quota", "names nothing; say which limits you want")
    for resource, asked in wanted.quota.items():
        where, line = pointer("quota", resource), team.spec.quota.get(resource)
        if problem := resource_problem(resource):
            yield FieldProblem(where, problem)
        elif line is None:
            yield FieldProblem(where, _unlimited(team, resource))
        elif parse_quantity(asked) <= parse_quantity(line.limit):
            text = f"{asked} is no more than the team has already; ask for more than that"
            yield FieldProblem(where, text, line.limit)


def _unlimited(team: Team, resource: str) -> str:
    """Why there is nothing to raise, and who has what binds the team."""
    way = (
        f"what binds it is at a team above: ask for team {team.spec.parent!r}"
        if team.spec.parent
        else "nothing binds it"
    )
    return f"team {team.name!r} has no limit of its own on {resource}; {way}"


def _audit(event: str, caller: Caller, item: Object, *, before: Any, after: Any) -> None:
    audit.write(
        event,
        who=caller.name,
        what=f"quotarequests/{item['metadata']['name']}",
        before=before,
        after=after,
        team=item["spec"]["team"],
    )
