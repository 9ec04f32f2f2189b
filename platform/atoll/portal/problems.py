"""Errors as people read them: what happened, why, and what to do next."""

from collections.abc import Callable
from dataclasses import dataclass, field

from atoll.errors import AtollError, FieldProblem, Who

_NEXT: dict[Who, str] = {
    "you": "You can mend this: change what is named and send it again.",
    "team owner": "An owner of the team can change this.",
    "admin": "An admin can change this; tell them the code below or this text.",
    "nobody": "Nothing needs to be changed. Try again in a moment.",
}
Place = tuple[str, str]
"""Name of a form field (empty when there is none) and the label people know it by."""


@dataclass(frozen=True)
class FieldView:
    """One field that is wrong; `anchor` is the id of its input."""

    anchor: str
    label: str
    detail: str
    limit: str | None


@dataclass(frozen=True)
class ProblemView:
    """A problem as the pages show it."""

    title: str
    detail: str
    next: str
    code: str
    status: int
    fields: list[FieldView] = field(default_factory=list)

    @property
    def wrong(self) -> dict[str, list[str]]:
        """Texts for the fields of a form, by the name of the input."""
        found: dict[str, list[str]] = {}
        for item in self.fields:
            limit = f" (limit: {item.limit})" if item.limit else ""
            text = f"{item.detail[:1].upper()}{item.detail[1:]}{limit}"
            found.setdefault(item.anchor, []).append(text)
        return found


def _nowhere(problem: FieldProblem) -> Place:
    return "", problem.pointer.strip("/").replace("/", ", ") or "Request"


def problem_view(
    error: AtollError, place: Callable[[FieldProblem], Place] = _nowhere
) -> ProblemView:
    """An error for a page; `place` finds the form field that a JSON pointer means."""
    fields = [FieldView(*place(f), f.detail, f.limit) for f in error.fields]
    detail = error.detail
    if fields and error.status == 422:  # the list below says it with the names people know
        detail = (
            "One field needs a change."
            if len(fields) == 1
            else f"{len(fields)} fields need a change."
        )
    return ProblemView(error.title, detail, _NEXT[error.who], error.code, error.status, fields)
