"""What is wrong with data that became no model, in our words: where, what was given, what is allowed.

Pydantic's messages speak of its own types ("Input should be a valid dictionary"); people write YAML and
JSON. Types of errors: https://docs.pydantic.dev/latest/errors/validation_errors/
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from atoll.domain.plurals import count
from atoll.errors import FieldProblem

Fault = Mapping[str, Any]
"""One error as pydantic tells it: `type`, `loc`, `input`, `ctx`."""
_SHOWN = 60
"""Most characters of a value that are shown."""
_KINDS = {
    "string": "must be text",
    "string_pattern_mismatch": "must match {pattern}",
    "int": "must be a whole number",
    "float": "must be a number",
    "decimal": "must be a number",
    "bool": "must be true or false",
    "dict": "must be an object of names and values",
    "mapping": "must be an object of names and values",
    "model": "must be an object of names and values",
    "list": "must be a list",
    "tuple": "must be a list",
    "set": "must be a list",
    "literal": "must be {expected}",
    "enum": "must be {expected}",
    "greater": "must be more than {gt}",
    "greater_equal": "must be at least {ge}",
    "less": "must be less than {lt}",
    "less_equal": "must be at most {le}",
}
"""Family of types of errors -> the rule, with the names of pydantic's `ctx`."""
_LENGTHS: Mapping[str, tuple[str, str, str]] = {
    "string_too_short": ("at least", "min_length", "character"),
    "string_too_long": ("at most", "max_length", "character"),
    "too_short": ("at least", "min_length", "item"),
    "too_long": ("at most", "max_length", "item"),
}
_LIMITS = ("ge", "gt", "le", "lt", "expected", "min_length", "max_length")


def pointer(*parts: str | int) -> str:
    """A JSON pointer (RFC 6901) from its parts."""
    return "".join("/" + str(p).replace("~", "~0").replace("/", "~1") for p in parts)


def problems_of(faults: Sequence[Fault], prefix: str = "") -> tuple[FieldProblem, ...]:
    """Pydantic's errors as field problems; `prefix` is the pointer of what was validated."""
    return tuple(
        FieldProblem(prefix + pointer(*_place(fault)), words(fault), _limit(fault))
        for fault in faults
    )


def first_of(error: ValidationError) -> str:
    """The first fault in one line, `spec.quota.cpu: why`."""
    fault = error.errors(include_url=False)[0]
    return f"{'.'.join(str(part) for part in _place(fault))}: {words(fault)}"


def words(fault: Fault) -> str:
    """What is wrong, what was given, what is allowed."""
    kind, context = str(fault["type"]), fault.get("ctx") or {}
    if kind in ("value_error", "assertion_error"):  # said by a rule of ours, in our words
        return str(context.get("error") or "is not valid")
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "there is no such field"
    if kind in _LENGTHS:
        bound, key, noun = _LENGTHS[kind]
        has = f"; {count(len(fault['input']), noun)} given" if _sized(fault) else ""
        return f"must have {bound} {count(int(context[key]), noun)}{has}"
    rule = _rule(kind, context)
    return f"{rule}; {_given(fault.get('input'))} was given"


def _rule(kind: str, context: Mapping[str, Any]) -> str:
    for cut in ("_than_equal", "_than"):
        if kind.endswith(cut):
            family = kind.removesuffix(cut) + ("_equal" if "equal" in cut else "")
            return _KINDS.get(family, "is not valid").format_map(context)
    rule = _KINDS.get(kind) or _KINDS.get(kind.partition("_")[0], "is not valid")
    return rule.format_map(context)


def _given(value: Any) -> str:
    named: dict[type, Callable[[], str]] = {
        dict: lambda: "an object",
        list: lambda: "a list",
        type(None): lambda: "nothing (null)",
    }
    if type(value) in named:
        return named[type(value)]()
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def _sized(fault: Fault) -> bool:
    return hasattr(fault.get("input"), "__len__")


def _place(fault: Fault) -> list[str | int]:
    return [part for part in fault["loc"] if part != "[key]"]


def _limit(fault: Fault) -> str | None:
    context = fault.get("ctx") or {}
    return next((str(context[key]) for key in _LIMITS if key in context), None)
