"""Turning what somebody sent into models, with every fault named by its JSON pointer."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from atoll.errors import AtollError, FieldProblem, InvalidError
from atoll.resources.faults import pointer, problems_of

M = TypeVar("M", bound=BaseModel)
_OBJECT_NAME = re.compile(r"^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?\Z")


def can_exist(name: str) -> bool:
    """Whether an object of that name can exist at all; others never reach a path of Kubernetes."""
    return _OBJECT_NAME.match(name) is not None and name == name.strip()


def parse(model: type[M], data: Any, prefix: str = "") -> M:
    """The data as a model. Raises InvalidError that names every wrong field."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise invalid(problems_of(error.errors(include_url=False), prefix)) from error


def invalid(problems: Sequence[FieldProblem]) -> InvalidError:
    """The error for these fields; its detail names the first and counts the rest."""
    first = problems[0]
    rest = f" ({len(problems) - 1} more in `errors`)" if len(problems) > 1 else ""
    return InvalidError(
        f"{first.pointer or 'The body'}: {first.detail}{rest}", fields=tuple(problems)
    )


def refuse_if_any(problems: Sequence[FieldProblem]) -> None:
    """Raise InvalidError when there is a problem."""
    if problems:
        raise invalid(problems)


def stored(model: type[M], data: Mapping[str, Any]) -> M:
    """A resource as the cluster holds it.

    kubectl may have written what our models refuse; that is the writer's to mend, and not a reason
    to fail without words.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        fields = problems_of(error.errors(include_url=False))
        name = data.get("metadata", {}).get("name")
        raise StoredInvalidError(
            f"{model.__name__} {name!r} is stored with a value that cannot be: {fields[0].pointer}: "
            f"{fields[0].detail}. Mend it with `kubectl edit`.",
            fields=fields,
        ) from error


class StoredInvalidError(AtollError):
    """A resource in the cluster does not follow its own rules."""

    code, status, title, who = "stored_invalid", 409, "What is stored is not valid", "admin"


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396: the target with the patch applied; a null removes a key."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def spec_patch(body: Any) -> Mapping[str, Any]:
    """The `spec` of a merge patch; everything else of an object cannot be changed."""
    if not isinstance(body, Mapping):
        raise InvalidError('A merge patch is a JSON object, such as {"spec": {...}}')
    others = sorted(str(k) for k in set(body) - {"spec"})
    if others:
        raise invalid(
            [FieldProblem(pointer(k), "cannot be changed; only spec can") for k in others]
        )
    spec = body.get("spec")
    if not isinstance(spec, Mapping):
        raise invalid([FieldProblem("/spec", "is missing or is no object")])
    return spec
