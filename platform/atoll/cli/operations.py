"""atoll operation: the progress of one change."""

import typer

from atoll.cli.options import Output, Timeout, seconds, session_of
from atoll.cli.output import Format, Shape, age
from atoll.cli.waiting import Waiter, failure
from atoll.contract.operations import OperationRead

app = typer.Typer(help="The progress of one change.", no_args_is_help=True)
SHAPE: Shape[OperationRead] = Shape(
    ("NAME", lambda o: o.id),
    ("TARGET", lambda o: o.target),
    ("ACTION", lambda o: o.action),
    ("STATE", lambda o: o.state),
    ("PERCENT", lambda o: o.percent),
    ("AGE", lambda o: age(o.started_at)),
    name=lambda o: o.id,
)


@app.command()
def get(ctx: typer.Context, identity: str, output: Output = Format.TABLE) -> None:
    """One operation."""
    SHAPE.one(session_of(ctx).client.operation(identity), output)


@app.command()
def wait(
    ctx: typer.Context, identity: str, timeout: Timeout = "10m", output: Output = Format.TABLE
) -> None:
    """Wait for an operation, printing its steps; also the way back after Ctrl-C."""
    session = session_of(ctx)
    found = session.client.operation(identity)
    if found.state == "failed":
        raise failure(found)
    if found.state == "running":
        Waiter(session, seconds(timeout)).operation(found)
        if found.action == "delete":
            session.say(f"{found.target} is gone.")
            return
        found = session.client.operation(identity)
    SHAPE.one(found, output)
