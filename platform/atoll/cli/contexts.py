"""The context file: addresses and tokens of the APIs this person uses, mode 0600."""

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from atoll.cli.exits import UsageError


@dataclass(frozen=True)
class Context:
    """Where an API is and the token for it."""

    api_url: str
    token: str | None = None


@dataclass
class Contexts:
    """All contexts by name, and the one in use."""

    current: str | None = None
    contexts: dict[str, Context] = field(default_factory=dict)

    def pick(self, name: str | None = None) -> Context | None:
        """The named context, or the current one. UsageError for a name that is not there."""
        if name is not None and name not in self.contexts:
            known = ", ".join(sorted(self.contexts)) or "none"
            raise UsageError(f"There is no context {name!r}; there are: {known}.")
        chosen = name or self.current
        return self.contexts.get(chosen) if chosen else None

    def by_url(self, url: str) -> Context | None:
        """The context of an API's address."""
        wanted = url.rstrip("/")
        return next((c for c in self.contexts.values() if c.api_url.rstrip("/") == wanted), None)


def file() -> Path:
    """$XDG_CONFIG_HOME/atoll/config.yaml."""
    base = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(base) / "atoll" / "config.yaml"


def load() -> Contexts:
    """The contexts of this person; empty when there is no file yet."""
    path = file()
    if not path.exists():
        return Contexts()
    try:
        data: dict[str, Any] = yaml.safe_load(path.read_text()) or {}
        found = {name: Context(**body) for name, body in (data.get("contexts") or {}).items()}
    except (yaml.YAMLError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} cannot be read ({error}); correct or remove it.") from error
    return Contexts(data.get("current"), found)


@contextmanager
def changing() -> Iterator[Contexts]:
    """The contexts to change; written back at the end, one writer at a time."""
    path = file()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (path.parent / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        contexts = load()
        yield contexts
        body = {name: _dump(context) for name, context in sorted(contexts.contexts.items())}
        write_private(path, yaml.safe_dump({"current": contexts.current, "contexts": body}))


def write_private(path: Path, text: str) -> None:
    """Replace a file at once, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(number, "w") as handle:
        handle.write(text)
    Path(fresh).replace(path)


def _dump(context: Context) -> dict[str, str]:
    return {key: value for key, value in asdict(context).items() if value is not None}
