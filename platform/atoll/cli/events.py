"""atoll event: changes as they happen."""

import json
import time
from datetime import datetime
from typing import Annotated

import typer

from atoll.cli.exits import Exit
from atoll.cli.options import Output, seconds, session_of
from atoll.cli.output import Format, write
from atoll.contract.virtual_clusters import VirtualClusterEvent

app = typer.Typer(help="Changes as they happen.", no_args_is_help=True)


@app.command()
def follow(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument(help="One virtual cluster; all if none.")] = None,
    *,
    after: Annotated[str | None, typer.Option("--after", help="Go on after this event.")] = None,
    limit: Annotated[str | None, typer.Option("--for", help="End after 30s, 10m.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """Print every change, across broken connections, until Ctrl-C. JSON is one object a line."""
    session = session_of(ctx)
    deadline = time.monotonic() + seconds(limit) if limit else None
    try:
        for event in session.client.events.follow(name, after=after, deadline=deadline):
            if event is not None:
                _show(event, output)
    except KeyboardInterrupt:
        raise SystemExit(Exit.INTERRUPTED) from None


def _show(event: VirtualClusterEvent, output: Format) -> None:
    if output is Format.JSON:
        print(json.dumps(event.dump()), flush=True)
    elif output is Format.YAML:
        print("---", flush=True)
        write(event.dump(), output)
    else:
        kind = event.type.rpartition(".")[2]
        status = event.object.status
        ready = next((c for c in status.conditions if c.type == "Ready"), None)
        words = f"{ready.reason} {ready.message}" if ready else ""
        now = f"{datetime.now():%H:%M:%S}"
        text = event.object.name if output is Format.NAME else (
            f"{now}  {event.object.name:<20} {kind:<8} {status.phase:<12} {words}".rstrip()
        )  # fmt: skip
        print(text, flush=True)
