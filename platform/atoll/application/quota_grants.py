"""Approved requests become quota, exactly once each, however often and by whomever it is tried."""

from collections.abc import Mapping
from datetime import UTC, datetime

from atoll.application.quota_changes import QuotaChanges
from atoll.application.quota_history import Authorship, quota_of
from atoll.application.reads import envelope
from atoll.application.validation import stored
from atoll.cluster import kinds
from atoll.cluster.client import Cluster, Object
from atoll.cluster.quota_trees import limits_of
from atoll.contract.quota_requests import QuotaAsk, QuotaRequestRead, RequestState
from atoll.domain.quantities import parse_quantity
from atoll.errors import InvalidError, StaleWriteError
from atoll.resources.meta import Condition, moment, now_text
from atoll.resources.quota_requests import QuotaRequest

GRANTED = "atoll.dev/granted-requests"
"""On a team: the uids of the requests that were applied last, written together with the quota."""
_REMEMBERED = 20
_TRIES = 8
APPLIED = "Applied"


def raised(team: Object, asked: Mapping[str, str]) -> Object:
    """The team with each asked limit, where it is more than the present one; nothing is lowered."""
    lines = {resource: dict(line) for resource, line in quota_of(team).items()}
    for resource, limit in _more(team, asked).items():
        lines[resource]["limit"] = limit
    spec = {**(team.get("spec") or {}), "quota": lines}
    return {**team, "metadata": dict(team["metadata"]), "spec": spec}


def _more(team: Object, asked: Mapping[str, str]) -> dict[str, str]:
    """The asked limits that are more than the present ones. A team without a limit has enough."""
    now = limits_of(team)
    return {
        resource: limit
        for resource, limit in asked.items()
        if resource in now and parse_quantity(limit) > parse_quantity(now[resource])
    }


def granted(team: Object) -> list[str]:
    """The uids of the requests that this team's quota was raised for last."""
    text = (team["metadata"].get("annotations") or {}).get(GRANTED, "")
    return [uid for uid in text.split(",") if uid]


class QuotaGrants:
    """Carries approved requests out."""

    def __init__(self, cluster: Cluster, changes: QuotaChanges) -> None:
        self._cluster = cluster
        self._changes = changes

    async def apply(self, item: Object) -> None:
        """Raise the team's quota as an approved request says, and write down what came of it.

        The team remembers the request in the very write that raises its quota, so one that crashed
        after it is not applied a second time.
        """
        request = stored(QuotaRequest, item)
        if request.spec.decision != "Approved" or _condition(request).status == "True":
            return
        try:
            status, reason, message = await self._raise(request)
        except InvalidError as error:
            status, reason, message = "False", "NotAllowed", error.detail
        await self._tell(item, status, reason, message)

    async def _raise(self, request: QuotaRequest) -> tuple[str, str, str]:
        for _ in range(_TRIES):
            team = await self._cluster.find(kinds.TEAM, request.spec.team)
            if done := _already(request, team):
                return done
            try:
                async with self._changes.alone(request.spec.team):
                    return await self._raise_once(request)
            except StaleWriteError:
                continue
        raise StaleWriteError(f"The quota of {request.spec.team!r} changes too often just now")

    async def _raise_once(self, request: QuotaRequest) -> tuple[str, str, str]:
        team = await self._cluster.find(kinds.TEAM, request.spec.team)
        if done := _already(request, team):
            return done
        assert team is not None
        wanted = raised(team, request.spec.quota)
        await self._changes.check(team, wanted)
        uids = [*granted(team), request.metadata.uid][-_REMEMBERED:]
        notes = {**(wanted["metadata"].get("annotations") or {}), GRANTED: ",".join(uids)}
        wanted["metadata"]["annotations"] = notes
        who = Authorship(
            by=request.spec.decided_by or "unknown",
            cause="requested",
            note=request.spec.note,
            request=request.name,
        )
        await self._changes.write(wanted, who)
        return "True", "Applied", "The team's quota was raised"

    async def _tell(self, item: Object, status: str, reason: str, message: str) -> None:
        before = _condition(stored(QuotaRequest, item))
        if (before.status, before.reason, before.message) == (status, reason, message):
            return
        generation = item["metadata"].get("generation", 0)
        condition = Condition.model_validate(
            {
                "type": APPLIED,
                "status": status,
                "reason": reason,
                "message": message,
                "last_transition_time": now_text(),
                "observed_generation": generation,
            }
        )
        told = {"observedGeneration": generation, "conditions": [condition.dump()]}
        try:
            await self._cluster.replace({**item, "status": told}, status=True)
        except StaleWriteError:
            return  # somebody else wrote it down, or the keeper looks again


def _already(request: QuotaRequest, team: Object | None) -> tuple[str, str, str] | None:
    """What came of the request when nothing is to be written for it; None when something is."""
    if team is None:
        return "False", "TeamMissing", f"There is no team {request.spec.team!r} any more"
    if request.metadata.uid in granted(team):
        return "True", "Applied", "The team's quota was raised"
    if not _more(team, request.spec.quota):
        return "True", "NothingToDo", "The team had as much already"
    return None


def _condition(request: QuotaRequest) -> Condition:
    found = (c for c in request.status.conditions if c.type == APPLIED)
    return next(found, Condition(type=APPLIED))


def request_read(request: QuotaRequest, team: Object | None) -> QuotaRequestRead:
    """A request as it is at this moment, with the team's limits beside what is asked."""
    now = quota_of(team) if team else {}
    state, message = _state(request, team)
    return QuotaRequestRead(
        **envelope(request.metadata),
        spec=request.spec,
        status=request.status,
        state=state,
        message=message,
        lines=[
            QuotaAsk(resource=r, asked=asked, now=now[r]["limit"] if r in now else None)
            for r, asked in sorted(request.spec.quota.items())
        ],
    )


def _state(request: QuotaRequest, team: Object | None) -> tuple[RequestState, str]:
    if request.spec.decision == "Refused":
        return "refused", request.spec.note
    if request.spec.decision == "Approved":
        applied = _condition(request)
        states: dict[str, RequestState] = {"True": "applied", "False": "failed"}
        return states.get(applied.status, "approved"), applied.message
    if team is None:
        return "obsolete", f"there is no team {request.spec.team!r} any more"
    if not _more(team, request.spec.quota):
        return "obsolete", "the team has as much already"
    end = request.spec.expires_at
    # What is no time lies in the future: it never ends.
    if end and moment(end, otherwise=datetime.max) < datetime.now(UTC):
        return "expired", f"it was to be decided until {end}"
    return "pending", ""
