"""The verbs of `atoll quota` that ask for more and decide about it."""

from collections.abc import Iterator
from typing import Annotated, get_args

import typer

from atoll.cli.exits import UsageError
from atoll.cli.options import DryRun, Output, assignments, session_of
from atoll.cli.output import Format, Shape, age
from atoll.cli.quotas import Limits, Note, Team
from atoll.cli.session import did_you_mean
from atoll.contract.quota_requests import QuotaRequestCreate, QuotaRequestRead, RequestState

app = typer.Typer()


def _asked(request: QuotaRequestRead) -> Iterator[str]:
    """What is asked; beside what the team has now only where that is still to be decided."""
    for line in request.lines:
        before = f"{line.now or '-'} → " if request.state in ("pending", "approved") else ""
        yield f"{line.resource} {before}{line.asked}"


def _note(request: QuotaRequestRead) -> str:
    """What was said by whoever decided, and what hinders what they decided."""
    hindered = request.state in ("failed", "expired", "obsolete")
    told = (request.spec.note, request.message if hindered or not request.spec.note else "")
    return "; ".join(filter(None, told))


SHAPE: Shape[QuotaRequestRead] = Shape(
    ("NAME", lambda r: r.name),
    ("TEAM", lambda r: r.spec.team),
    ("ASKED", lambda r: ", ".join(_asked(r))),
    ("STATE", lambda r: r.state),
    ("BY", lambda r: r.spec.requested_by),
    ("REASON", lambda r: r.spec.reason),
    ("NOTE", _note),
    ("AGE", lambda r: age(r.created_at)),
)
Name = Annotated[str, typer.Argument(help="The request, as `atoll quota requests` lists it.")]


@app.command()
def request(
    ctx: typer.Context,
    team: Team,
    *,
    limit: Limits = None,
    reason: Annotated[str, typer.Option("--reason", help="For whoever decides.")] = "",
    days: Annotated[int, typer.Option("--days", min=1, max=365, help="How long it may wait.")] = 30,
    dry_run: DryRun = False,
    output: Output = Format.TABLE,
) -> None:
    """Ask for higher limits.

    Example: atoll quota request vision --limit cpu=64 --reason "two more projects"
    """
    asked = assignments(limit or (), "--limit")
    if not asked:
        raise UsageError("Say what to ask for, as --limit cpu=64,memory=256Gi.")
    session = session_of(ctx)
    new = QuotaRequestCreate(team=team, quota=asked, reason=reason, days=days)
    made = session.client.quota_requests.create(new, dry_run=dry_run)
    SHAPE.one(made, output)
    session.say("It would be asked for." if dry_run else f"Request {made.name} waits for an admin.")


@app.command()
def requests(
    ctx: typer.Context,
    *,
    team: Annotated[str | None, typer.Option("--team", help="Only of this team.")] = None,
    state: Annotated[
        str | None, typer.Option("--state", help=f"One of {', '.join(get_args(RequestState))}.")
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """All requests you may see."""
    if state is not None and state not in get_args(RequestState):
        raise UsageError(f"--state is one of {', '.join(get_args(RequestState))}.")
    found = session_of(ctx).client.quota_requests.all(team=team, state=state)
    SHAPE.many(list(found), output)


@app.command()
def approve(ctx: typer.Context, name: Name, note: Note = "", output: Output = Format.TABLE) -> None:
    """Give what a request asks for, at once."""
    _decide(ctx, name, "approve", note, output)


@app.command()
def refuse(ctx: typer.Context, name: Name, note: Note = "", output: Output = Format.TABLE) -> None:
    """Say no to a request, with a note."""
    _decide(ctx, name, "refuse", note, output)


def _decide(ctx: typer.Context, name: str, verdict: str, note: str, output: Format) -> None:
    session = session_of(ctx)
    known = session.client.quota_requests
    with did_you_mean(name, lambda: (r.name for r in known.all()), "atoll quota requests"):
        found = known.get(name)
    done = known.decide(name, verdict, note, revision=found.revision)
    SHAPE.one(done, output)
    session.say(f"Request {name} is {done.state}." + (f" {done.message}" if done.message else ""))
