"""What every command shares: which API, as whom, and how to say things."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches

from atoll.cli import contexts
from atoll.cli.exits import UsageError
from atoll.client import Atoll
from atoll.errors import NotFoundError, UnauthenticatedError


@dataclass
class Session:
    """One run of the command line. Precedence: flags, environment, context file."""

    api_url: str | None = None
    context: str | None = None
    debug: bool = False
    connected: Atoll | None = None

    @property
    def client(self) -> Atoll:
        """The API this run talks to. UnauthenticatedError when none is known."""
        if self.connected is None:
            self.connected = Atoll(*self.endpoint())
        return self.connected

    def endpoint(self) -> tuple[str, str | None]:
        """Address and token of the API."""
        token = os.environ.get("ATOLL_TOKEN") or None
        url = self.api_url or (None if self.context else os.environ.get("ATOLL_API_URL"))
        known = contexts.load()
        if url:
            found = known.by_url(url)
            return url, token or (found.token if found else None)
        chosen = known.pick(self.context)
        if chosen is None:
            raise UnauthenticatedError(
                "No API is known yet.", extra={"next": "atoll up, or atoll login URL"}
            )
        return chosen.api_url, token or chosen.token

    def say(self, text: str = "") -> None:
        """A line for the person, on stderr; stdout is for data."""
        print(text, file=sys.stderr, flush=True)

    def virtual_cluster(self, name: str | None) -> str:
        """The virtual cluster to work in: the one named, or the only one there is."""
        if name:
            return name
        names = sorted(vc.name for vc in self.client.virtual_clusters.all())
        if len(names) == 1:
            return names[0]
        there = f"there are {', '.join(names)}" if names else "there is none yet"
        raise UsageError(f"Say which virtual cluster with --vc NAME or ATOLL_VC; {there}.")

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something that cannot be undone. UsageError without a person to ask."""
        if yes:
            return
        if not sys.stdin.isatty():
            raise UsageError(f"{question} Nobody is there to ask; say --yes.")
        print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise UsageError("Nothing was changed.")


@contextmanager
def did_you_mean(name: str, known: Callable[[], Iterable[str]], listing: str) -> Iterator[None]:
    """Adds the name that was probably meant to a NotFoundError, and the command that lists all."""
    try:
        yield
    except NotFoundError as error:
        close = get_close_matches(name, list(known()), n=1, cutoff=0.5)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        raise NotFoundError(
            f"{error.detail.rstrip('.')}.{hint}", code=error.code, who=error.who,
            extra={**error.extra, "next": listing},
        ) from error  # fmt: skip
