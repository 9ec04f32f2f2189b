"""Quotas of teams, their history, and requests for more."""

from collections.abc import Iterator

from atoll.client.objects import Objects, parse
from atoll.client.transport import Transport
from atoll.contract.quota_requests import QuotaDecision, QuotaRequestCreate, QuotaRequestRead
from atoll.contract.quotas import (
    QuotaPreview,
    QuotaRead,
    QuotaRevert,
    QuotaRevisionRead,
    QuotaWrite,
)


class Quotas:
    """The quota of each team."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(self, team: str) -> QuotaRead:
        """A team's quota. Raises NotFoundError."""
        return parse(QuotaRead, self._transport.get(f"teams/{team}/quota"))

    def preview(self, team: str, wanted: QuotaWrite) -> QuotaPreview:
        """What this quota would do to whom. Raises InvalidError when it may not be."""
        answer = self._transport.send("POST", f"teams/{team}/quota:preview", body=wanted.dump())
        return parse(QuotaPreview, answer.json())

    def put(
        self,
        team: str,
        wanted: QuotaWrite,
        *,
        revision: str | None,
        confirm: str | None = None,
        dry_run: bool = False,
    ) -> QuotaRead:
        """Set the whole quota, only while it has `revision` (None: any).

        ConfirmationNeededError when it would put the team over and `confirm` does not name the preview.
        """
        answer = self._transport.send(
            "PUT", f"teams/{team}/quota", body=wanted.dump(), headers=_match(revision),
            params={"confirm": confirm, "dry_run": "server" if dry_run else None},
        )  # fmt: skip
        return parse(QuotaRead, answer.json())

    def revert(
        self,
        team: str,
        wanted: QuotaRevert,
        *,
        revision: str | None,
        confirm: str | None = None,
        dry_run: bool = False,
    ) -> QuotaRead:
        """Set the quota to what it was. Errors as with `put`."""
        answer = self._transport.send(
            "POST", f"teams/{team}/quota:revert", body=wanted.dump(), headers=_match(revision),
            params={"confirm": confirm, "dry_run": "server" if dry_run else None},
        )  # fmt: skip
        return parse(QuotaRead, answer.json())

    def history(self, team: str) -> Iterator[QuotaRevisionRead]:
        """Every state of the quota, the newest first, page by page."""
        cursor: str | None = None
        while True:
            page = self._transport.get(f"teams/{team}/quota/history", cursor=cursor)
            for item in page["items"]:
                yield parse(QuotaRevisionRead, item)
            cursor = page.get("next")
            if not cursor:
                return


class QuotaRequests(Objects[QuotaRequestRead, QuotaRequestCreate]):
    """Requests for larger quotas that the caller may see."""

    def __init__(self, transport: Transport) -> None:
        super().__init__(transport, "quota-requests", QuotaRequestRead)

    def decide(
        self, name: str, verdict: str, note: str, *, revision: str | None
    ) -> QuotaRequestRead:
        """`verdict` is "approve" or "refuse". ConflictError when it is closed already."""
        answer = self._transport.send(
            "POST", f"quota-requests/{name}:{verdict}", body=QuotaDecision(note=note).dump(),
            headers=_match(revision),
        )  # fmt: skip
        return parse(QuotaRequestRead, answer.json())


def _match(revision: str | None) -> dict[str, str]:
    return {"If-Match": f'"{revision}"' if revision else "*"}
