"""What another quota of a virtual cluster would do, in the words of its page. Pure: models in, words out."""

from collections.abc import Callable
from dataclasses import dataclass

from atoll.contract.quotas import Confirmable
from atoll.contract.virtual_clusters import VirtualClusterQuotaLine, VirtualClusterQuotaPreview
from atoll.domain.quantities import parse_quantity
from atoll.errors import FieldProblem, InvalidError
from atoll.portal.bars import amount, label_of
from atoll.portal.pages import held
from atoll.portal.problems import FieldView, Place, problem_view
from atoll.portal.words import Tone


@dataclass(frozen=True)
class PreviewLine:
    """One resource, amounts with their units; `over` is empty when it fits."""

    label: str
    limit: str
    used: str
    over: str


@dataclass(frozen=True)
class QuotaPreviewView:
    """What the page shows of a preview."""

    title: str
    tone: Tone
    lines: list[PreviewLine]
    no_room: list[str]
    refused: list[FieldView]
    wrong: dict[str, list[str]]
    """Why it would be refused, by the name of the input."""
    confirm: str
    """What saving must carry; empty when nothing needs to be confirmed."""


def quota_preview_view(
    seen: VirtualClusterQuotaPreview, place: Callable[[FieldProblem], Place]
) -> QuotaPreviewView:
    """A preview for its page; `place` finds the input that a JSON pointer means."""
    lines = [_line(line) for line in seen.lines]
    no_room = [
        f"Ray cluster {fit.name} would find no room ({held(fit.demand)})"
        for fit in seen.no_longer_fit
    ]
    problems = tuple(FieldProblem(r.pointer, r.detail, r.limit) for r in seen.refused)
    told = problem_view(InvalidError("", fields=problems), place)
    tone: Tone = "warn" if no_room or any(line.over for line in lines) else "good"
    return QuotaPreviewView(
        title="this would be refused" if problems else accepted(seen, "virtual cluster"),
        tone="bad" if problems else tone,
        lines=lines,
        no_room=no_room,
        refused=told.fields,
        wrong=told.wrong,
        confirm="" if problems else needed(seen),
    )


def accepted(seen: Confirmable, whose: str) -> str:
    """What would come of a change that breaks no rule, as a title; `whose` quota it is."""
    over = f"this puts the {whose} over its quota"
    return over if seen.needs_confirmation else "this would be accepted"


def needed(seen: Confirmable) -> str:
    """What saving must carry; empty when nothing needs to be confirmed."""
    return seen.confirm if seen.needs_confirmation else ""


def _line(line: VirtualClusterQuotaLine) -> PreviewLine:
    name = line.resource

    def told(text: str | None) -> str:
        return "not named" if text is None else amount(name, parse_quantity(text))

    before, after = told(line.limit_before), told(line.limit_after)
    return PreviewLine(
        label=label_of(name),
        limit=after if before == after else f"{before} → {after}",
        used=told(line.used),
        over="" if line.over == "0" else told(line.over),
    )
