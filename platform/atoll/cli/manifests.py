"""Objects from YAML files: as `kubectl` takes them, or as the API does ({name, spec})."""

import sys
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from atoll.cli.exits import UsageError
from atoll.domain.plurals import count, verb
from atoll.errors import InvalidError
from atoll.resources.faults import problems_of
from atoll.resources.meta import API_VERSION, Model

T = TypeVar("T", bound=Model)


def documents(file: Path) -> list[dict[str, Any]]:
    """The documents of a file (`-` is standard input) as {kind, name, spec}."""
    try:
        text = sys.stdin.read() if str(file) == "-" else file.read_text()
        found = [document for document in yaml.safe_load_all(text) if document is not None]
    except (OSError, yaml.YAMLError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    if not found:
        raise UsageError(f"{file} has no objects.")
    return [_normal(document, file) for document in found]


def single(file: Path, kind: str) -> dict[str, Any]:
    """The one document of a file, of that kind."""
    found = documents(file)
    if len(found) != 1 or found[0]["kind"] not in (None, kind):
        raise UsageError(f"{file} must have exactly one {kind}; atoll apply takes several.")
    return found[0]


def checked(model: type[T], data: dict[str, Any], where: str = "") -> T:
    """Data as a model. InvalidError names every field that is wrong."""
    try:
        return model.model_validate(data)
    except ValidationError as error:
        fields = problems_of(error.errors(include_url=False), where)
        number = len(fields)
        raise InvalidError(
            f"{count(number, 'field')} {verb(number, 'is')} wrong.", fields=fields
        ) from error


def _normal(document: Any, file: Path) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise UsageError(f"{file}: an object is expected, not {type(document).__name__}.")
    if "apiVersion" in document and document["apiVersion"] != API_VERSION:
        raise UsageError(f"{file}: apiVersion {document['apiVersion']!r} is not {API_VERSION}.")
    name = document.get("name") or (document.get("metadata") or {}).get("name")
    if not name:
        raise UsageError(f"{file}: metadata.name is missing.")
    return {"kind": document.get("kind"), "name": str(name), "spec": document.get("spec") or {}}
