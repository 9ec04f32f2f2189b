"""atoll login, logout, whoami, version: who you are, and where."""

import getpass
import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Annotated

import typer

from atoll.cli import contexts
from atoll.cli.contexts import Context
from atoll.cli.exits import UsageError
from atoll.cli.options import Output, session_of
from atoll.cli.output import Format, Shape, write
from atoll.client import Atoll
from atoll.contract.platform import WhoAmI
from atoll.errors import AtollError

WHO: Shape[WhoAmI] = Shape(("NAME", lambda w: w.name), ("ROLES", lambda w: ",".join(w.roles)))


def login(
    ctx: typer.Context,
    url: Annotated[str, typer.Argument(help="Address of the API.")],
    name: Annotated[str, typer.Option("--name", help="Name of the context.")] = "default",
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="File with the token; else it is asked.")
    ] = None,
) -> None:
    """Keep an API's address and your token (mode 0600), and use them from now on."""
    token = _token(token_file)
    with Atoll(url, token) as client:
        who = client.whoami()
    with contexts.changing() as known:
        known.contexts[name] = Context(url.rstrip("/"), token)
        known.current = name
    session_of(ctx).say(f"Logged in to {url} as {who.name}; context {name}.")


def logout(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Context; the current one if none.")] = None,
) -> None:
    """Forget an API and your token for it."""
    with contexts.changing() as known:
        chosen = name or known.current
        if chosen is None or chosen not in known.contexts:
            raise UsageError(f"There is no context {chosen!r}." if chosen else "Not logged in.")
        del known.contexts[chosen]
        if known.current == chosen:
            known.current = next(iter(known.contexts), None)
    session_of(ctx).say(f"Context {chosen} forgotten.")


def whoami(ctx: typer.Context, output: Output = Format.TABLE) -> None:
    """Who the API takes you for."""
    who = session_of(ctx).client.whoami()
    WHO.one(who, output)


def tell_version(asked: bool) -> None:
    """`--version`: of this program alone, so that it answers without an API."""
    if asked:
        print(f"atoll {installed('atoll')}")
        raise typer.Exit


def version(ctx: typer.Context, output: Output = Format.TABLE) -> None:
    """The version of this program, and of the API when there is one."""
    session = session_of(ctx)
    found: dict[str, str | None] = {"client": installed("atoll"), "server": None}
    try:
        found["server"] = session.client.health().version
    except AtollError as error:
        session.say(f"No API: {error.detail}")
    if output in (Format.TABLE, Format.NAME):
        print(f"atoll {found['client']}" + (f", API {found['server']}" if found["server"] else ""))
    else:
        write(found, output)


def _token(file: Path | None) -> str:
    if file is not None:
        text = file.read_text()
    elif sys.stdin.isatty():
        text = getpass.getpass("Token: ")
    else:
        text = sys.stdin.readline()
    if not text.strip():
        raise UsageError("The token is empty; give it on standard input or with --token-file.")
    return text.strip()
