"""atoll up, down, status: a whole platform on this machine."""

import os
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from atoll.cli.local import down as ending
from atoll.cli.local import status as looking
from atoll.cli.local.place import SIMULATED, Place, names
from atoll.cli.local.up import Answer, Up, Wish
from atoll.cli.options import Output, Timeout, counts, seconds, session_of
from atoll.cli.output import Format, table, write
from atoll.cli.session import Session
from atoll.errors import AtollError
from atoll.hosts.errors import BundleError, HostError, SandboxError, ToolchainError

Name = Annotated[str, typer.Option("--name", help="Several platforms can run on one machine.")]
_HOST_ERRORS = (BundleError, HostError, SandboxError, ToolchainError)


def up(
    ctx: typer.Context,
    *,
    host: Annotated[
        str | None, typer.Option("--host", help="sandbox, kind or kubeconfig (or ATOLL_HOST).")
    ] = None,
    nodes: Annotated[
        list[str] | None,
        typer.Option("--nodes", help="Nodes of the sandbox or kind: 4c8g=2,8c16g=2."),
    ] = None,
    kubeconfig: Annotated[
        Path | None, typer.Option("--kubeconfig", help="Of the host cluster (or KUBECONFIG).")
    ] = None,
    demo: Annotated[bool, typer.Option("--demo/--no-demo", help="Run the demonstration.")] = True,
    label_nodes: Annotated[
        bool,
        typer.Option("--label-nodes", help="Label nodes without a template (ATOLL_LABEL_NODES=1)."),
    ] = False,
    name: Name = "default",
    timeout: Timeout = "10m",
    output: Output = Format.TABLE,
) -> None:
    """Start everything on this machine and run the demonstration; safe to repeat.

    Example: atoll up --host sandbox --nodes 4c8g=2,8c16g=2
    """
    session, place = session_of(ctx), Place(name)
    wish = Wish(
        host, kubeconfig, counts(nodes or (), "--nodes"), demo,
        label_nodes or os.environ.get("ATOLL_LABEL_NODES") == "1", seconds(timeout),
    )  # fmt: skip
    try:
        with place.locked():
            answer = Up(session, place, wish).run()
    except (*_HOST_ERRORS, ValueError) as error:
        raise _told(error, place) from error
    except AtollError as error:
        error.extra.setdefault("logs", str(place.platform.logs))
        raise
    if output in (Format.JSON, Format.YAML):
        write(answer.dump(), output)
    else:
        _closing(session, place, answer, demo=demo)


def down(ctx: typer.Context, name: Name = "default", timeout: Timeout = "10m") -> None:
    """Remove everything that atoll up made on this machine."""
    place = Place(name)
    try:
        with place.locked():
            ending.run(session_of(ctx), place, seconds(timeout))
    except _HOST_ERRORS as error:
        raise _told(error, place) from error


def status(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Option("--name", help="Only this platform.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """The platforms of this machine and their parts; exit code 1 when a part is dead."""
    places = [Place(found) for found in ([name] if name else names())]
    if output in (Format.JSON, Format.YAML):
        write({"items": [looking.describe(place) for place in places]}, output)
    elif output is Format.NAME:
        for place in places:
            print(place.name)
    else:
        rows = [part for place in places for part in looking.parts(place)]
        table(["PLATFORM", "PART", "STATE", "DETAIL"],
              [[p.platform, p.name, p.state, p.detail] for p in rows])  # fmt: skip
    if not places:
        session_of(ctx).say("Nothing runs here. Start it: atoll up")
    states = [s for place in places for s in place.platform.states()]
    if any(not s.alive for s in states):
        raise typer.Exit(1)


def _closing(session: Session, place: Place, answer: Answer, *, demo: bool) -> None:
    """The address, the token and the next commands."""
    print(f"Portal      {answer.portal}")
    print(f"API         {answer.api}/docs")
    print(f"Token       {answer.token}")
    print(f"Kubeconfig  {answer.kubeconfig}  (the host's administrator)")
    print(f"Logs        {answer.logs}")
    if answer.host == "sandbox":
        session.say(SIMULATED)
    session.say("Next:")
    if shutil.which("atoll") is None:  # `make up` in a fresh checkout
        session.say(f'  export PATH="{Path(sys.executable).parent}:$PATH"')
    if demo:
        session.say("  atoll vc get demo                        the virtual cluster")
        session.say("  atoll kubeconfig get demo --write --use  then: kubectl get pods")
        session.say("  atoll job submit --cluster demo --working-dir DIR -- python FILE")
    else:
        session.say("  atoll team create TEAM --quota cpu=8,memory=16Gi")
    name = "" if place.name == "default" else f" --name {place.name}"
    session.say(f"  atoll down{name}")


def _told(error: Exception, place: Place) -> AtollError:
    return AtollError(str(error), code="host_failed", extra={"logs": str(place.platform.logs)})
