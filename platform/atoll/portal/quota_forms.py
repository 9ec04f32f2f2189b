"""The form of a team's quota: its inputs, what was typed as a quota, and a preview in words. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from atoll.contract.quotas import QuotaHolder, QuotaLineChange, QuotaPreview, QuotaRead
from atoll.domain.quantities import parse_quantity
from atoll.domain.quotas import KNOWN
from atoll.errors import FieldProblem
from atoll.portal.bars import LABELS, amount, label_of
from atoll.portal.pages import held
from atoll.portal.problems import Place
from atoll.portal.quota_previews import PreviewLine, accepted, needed
from atoll.portal.words import Tone
from atoll.resources.teams import QuotaLine

_PARTS = ("limit", "guaranteed")
_OTHER: Place = ("other_name", "Name of another resource")


@dataclass(frozen=True)
class QuotaInputs:
    """The two inputs of one resource."""

    name: str
    label: str
    hint: str


@dataclass(frozen=True)
class TeamPreviewView:
    """What the page shows of a preview."""

    title: str
    tone: Tone
    lines: list[PreviewLine]
    out: list[str]
    """Who would not be let in again."""
    admitted: list[str]
    """Who would get in."""
    confirm: str
    """What saving must carry; empty when nothing needs to be confirmed."""


def quota_inputs(quota: QuotaRead) -> list[QuotaInputs]:
    """One pair of inputs for each resource that has a name without a domain, or stands in the quota."""
    order = list(LABELS)
    names = sorted(
        {*KNOWN, *quota.quota},
        key=lambda n: (order.index(n) if n in order else len(order), n),
    )
    use = {u.resource: u for u in quota.use}
    return [
        QuotaInputs(n, label_of(n), f"{told(n, use[n].reserved)} reserved." if n in use else "")
        for n in names
    ]


def quota_values(quota: Mapping[str, QuotaLine]) -> dict[str, str]:
    """The inputs as the quota has them."""
    values = {f"limit.{name}": line.limit for name, line in quota.items()}
    return values | {f"guaranteed.{n}": li.guaranteed for n, li in quota.items() if li.guaranteed}


def quota_body(values: Mapping[str, str]) -> dict[str, Any]:
    """The body of a PUT; a resource whose inputs are both empty is not named."""
    lines: dict[str, dict[str, str]] = {}
    for key, text in values.items():
        part, _, name = key.partition(".")
        if part in _PARTS and name and text.strip():
            lines.setdefault(name, {})[part] = text.strip()
    if (name := values.get("other_name", "").strip()) or values.get("other_limit", "").strip():
        lines.setdefault(name, {})["limit"] = values.get("other_limit", "").strip()
    return {"quota": lines, "note": values.get("note", "").strip()}


def place_in_quota_form(values: Mapping[str, str], problem: FieldProblem) -> Place:
    """The input and label for a JSON pointer of a quota, or of a team's spec."""
    parts = problem.parts
    parts = parts[1:] if parts[0] == "spec" else parts
    match parts:
        case ["quota", name, *rest]:
            if f"limit.{name}" not in values:
                return ("other_limit", "Its limit") if rest else _OTHER
            part = rest[0] if rest and rest[0] in _PARTS else "limit"
            return f"{part}.{name}", _label(f"{part}.{name}")
        case ["quota"]:
            return _OTHER
        case ["note"]:
            return "note", "Note"
    return "", ", ".join(parts) or "Request"


def quota_differences(quota: QuotaRead, values: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """(label, what it is now, what was typed) of the inputs that differ."""
    now = quota_values(quota.quota)
    return [
        (_label(key), now.get(key, ""), text.strip())
        for key, text in values.items()
        if key.partition(".")[0] in _PARTS and text.strip() != now.get(key, "")
    ]


def _label(key: str) -> str:
    part, _, name = key.partition(".")
    return f"{label_of(name)} {part}"


def team_preview_view(seen: QuotaPreview) -> TeamPreviewView:
    """A preview for its page."""
    out = [f"{_holder(h)} would not be let in again" for h in seen.no_longer_fit]
    over = any(line.over != "0" for line in seen.lines)
    return TeamPreviewView(
        title=accepted(seen, "team"),
        tone="warn" if over or out else "good",
        lines=[_line(line) for line in seen.lines],
        out=out,
        admitted=[f"{_holder(h)} would get in" for h in seen.would_be_admitted],
        confirm=needed(seen),
    )


def _holder(holder: QuotaHolder) -> str:
    rays = f", with Ray clusters {', '.join(holder.ray_clusters)}" if holder.ray_clusters else ""
    return f"{holder.virtual_cluster} of {holder.team} ({held(holder.demand)}{rays})"


def _line(line: QuotaLineChange) -> PreviewLine:
    name = line.resource
    before = _line_of(name, line.limit_before, line.guaranteed_before)
    after = _line_of(name, line.limit_after, line.guaranteed_after)
    return PreviewLine(
        label=label_of(name),
        limit=after if before == after else f"{before} → {after}",
        used=told(name, line.reserved),
        over="" if line.over == "0" else told(name, line.over),
    )


def _line_of(name: str, limit: str | None, promised: str | None) -> str:
    return line_words(name, QuotaLine(limit=limit, guaranteed=promised) if limit else None)


def told(resource: str, text: str | None) -> str:
    """An amount for people, with its unit; empty when there is none."""
    return "" if text is None else amount(resource, parse_quantity(text))


def line_words(resource: str, line: QuotaLine | None) -> str:
    """A line of a quota in words."""
    if line is None:
        return "not named"
    promised = f", {told(resource, line.guaranteed)} guaranteed" if line.guaranteed else ""
    return told(resource, line.limit) + promised
