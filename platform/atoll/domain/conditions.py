"""The summary of conditions: Ready, its reason and words, and the phase."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Status = Literal["True", "False", "Unknown"]
Phase = Literal["Pending", "Provisioning", "Ready", "Degraded", "Failed", "Deleting"]

READY = "Ready"


class ConditionLike(Protocol):
    """What a summary needs of a condition."""

    @property
    def type(self) -> str:
        """Which condition."""
        ...

    @property
    def status(self) -> Status:
        """Whether it is so."""
        ...

    @property
    def reason(self) -> str:
        """One PascalCase word."""
        ...

    @property
    def message(self) -> str:
        """For people."""
        ...


@dataclass(frozen=True)
class Summary:
    """What Ready says."""

    status: Status
    reason: str
    message: str


def summarise(conditions: Iterable[ConditionLike], order: Sequence[str]) -> Summary:
    """Ready is True when every condition of `order` is; else it speaks for the first that is not.

    A condition that is False comes before one that is Unknown, because it says what is wrong; among
    equals the earlier step comes first. A step that has no condition yet counts as Unknown.
    """
    by_type = {c.type: c for c in conditions}
    for wanted in ("False", "Unknown"):
        for name in order:
            found = by_type.get(name)
            if (found.status if found else "Unknown") == wanted:
                return _speaking_for(name, found, "False" if wanted == "False" else "Unknown")
    return Summary("True", "AllStepsDone", f"All {len(order)} steps are done")


def _speaking_for(name: str, found: ConditionLike | None, status: Status) -> Summary:
    if found is None:
        return Summary(status, "NotLookedYet", f"{name} has not been looked at yet")
    return Summary(
        status, found.reason or name, f"{name}: {found.message}" if found.message else name
    )


def phase_of(summary: Summary, *, deleting: bool, failed: bool, was_ready: bool) -> Phase:
    """The one word for people. `failed`: a step cannot go on until somebody changes something;
    `was_ready`: this generation was Ready before.
    """
    if deleting:
        return "Deleting"
    if summary.status == "True":
        return "Ready"
    if failed:
        return "Failed"
    if was_ready:
        return "Degraded"
    return "Pending" if summary.reason == "NotLookedYet" else "Provisioning"
