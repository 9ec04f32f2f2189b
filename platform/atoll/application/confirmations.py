"""Lowering a quota below what is taken of it: only by whoever confirms the preview of that."""

from atoll.contract.quotas import Confirmable
from atoll.errors import ConfirmationNeededError


def refuse_unconfirmed(seen: Confirmable, given: str | None, *, over: str, instead: str) -> None:
    """Raise ConfirmationNeededError, which carries the preview, when more would be over than is now and
    `given` does not name it. `over` says of whom what is over; `instead` what can be done first.
    """
    if not seen.needs_confirmation or given == seen.confirm:
        return
    stale = "What was confirmed is not what would happen now. " if given else ""
    raise ConfirmationNeededError(
        f"{stale}More of {over}. What runs stays, and nothing of it grows until it is below the limits. "
        f"Look at the preview and repeat with ?confirm={seen.confirm}, choose higher limits, or {instead} "
        "first.",
        extra={"preview": seen.dump()},
    )
