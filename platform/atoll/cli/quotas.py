"""atoll quota: what a team may hold, what a change would do, what it was, and asking for more."""

import itertools
from contextlib import AbstractContextManager
from typing import Annotated

import typer

from atoll.cli.confirmations import Confirmed, confirmed, say_confirm
from atoll.cli.exits import UsageError
from atoll.cli.options import DryRun, Output, Yes, assignments, session_of
from atoll.cli.output import Format, Shape, age, pairs, step
from atoll.cli.session import Session, did_you_mean
from atoll.contract.quotas import (
    QuotaLineChange,
    QuotaPreview,
    QuotaRead,
    QuotaRevert,
    QuotaRevisionRead,
    QuotaUse,
    QuotaWrite,
)
from atoll.domain.lowering import over_words
from atoll.domain.quantities import parse_quantity
from atoll.domain.quotas import amount_text
from atoll.resources.teams import QuotaLine

app = typer.Typer(help="What a team may hold.", no_args_is_help=True)


def _changes(revision: QuotaRevisionRead) -> str:
    def text(line: QuotaLine | None) -> str | None:
        if line is None:
            return None
        return f"{line.limit} (g {line.guaranteed})" if line.guaranteed else line.limit

    told = [f"{c.resource} {step(text(c.before), text(c.after))}" for c in revision.changes]
    if revision.parent != revision.parent_before:
        told.append(f"parent {step(revision.parent_before, revision.parent)}")
    return ", ".join(told)


USE: Shape[QuotaUse] = Shape(
    ("RESOURCE", lambda u: u.resource),
    ("LIMIT", lambda u: u.limit),
    ("GUARANTEED", lambda u: u.guaranteed),
    ("RESERVED", lambda u: u.reserved),
    ("USED", lambda u: u.used),
    ("FREE", lambda u: u.free),
    ("BOUND BY", lambda u: u.bound_by),
    name=lambda u: u.resource,
)
LINES: Shape[QuotaLineChange] = Shape(
    ("RESOURCE", lambda c: c.resource),
    ("LIMIT", lambda c: step(c.limit_before, c.limit_after)),
    ("GUARANTEED", lambda c: step(c.guaranteed_before, c.guaranteed_after)),
    ("RESERVED", lambda c: c.reserved),
    ("OVER", lambda c: c.over if c.over != "0" else None),
    name=lambda c: c.resource,
)
HISTORY: Shape[QuotaRevisionRead] = Shape(
    ("NUMBER", lambda r: r.number),
    ("BY", lambda r: r.by),
    ("CAUSE", lambda r: r.cause),
    ("CHANGES", _changes),
    ("NOTE", lambda r: r.note),
    ("AGE", lambda r: age(r.at)),
    name=lambda r: str(r.number),
)
Team = Annotated[str, typer.Argument(help="The team.")]
Limits = Annotated[
    list[str] | None,
    typer.Option("--limit", help="Limits, as cpu=16,memory=64Gi.", metavar="NAME=AMOUNT,..."),
]
Guaranteed = Annotated[
    list[str] | None,
    typer.Option("--guaranteed", help="Guarantees, as cpu=8.", metavar="NAME=AMOUNT,..."),
]
Remove = Annotated[
    list[str] | None, typer.Option("--remove", help="A resource that is no longer named.")
]
Note = Annotated[str, typer.Option("--note", help="Why; kept in the history.")]


@app.command()
def get(ctx: typer.Context, team: Team, output: Output = Format.TABLE) -> None:
    """Limits, guarantees, what is reserved and what is free, ancestors counted."""
    session = session_of(ctx)
    with _known(session, team):
        found = session.client.quotas.get(team)
    USE.within(found, found.use, output)
    for line in found.use:
        extra = parse_quantity(line.reserved) - parse_quantity(line.limit or line.reserved)
        if output is Format.TABLE and extra > 0:
            session.say(
                f"{line.resource}: {line.reserved} reserved of {line.limit}, "
                f"{amount_text(line.resource, extra)} over; what runs stays, and nothing of it grows"
            )


@app.command("set")
def set_(
    ctx: typer.Context,
    team: Team,
    *,
    limit: Limits = None,
    guaranteed: Guaranteed = None,
    remove: Remove = None,
    note: Note = "",
    confirm: Confirmed = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = Format.TABLE,
) -> None:
    """Change lines of a quota; those that are not named stay.

    Example: atoll quota set vision --limit cpu=32 --guaranteed cpu=8 --note "two more projects"
    """
    session = session_of(ctx)
    now, wanted = _wanted(session, team, limit, guaranteed, remove, note)
    seen = session.client.quotas.preview(team, wanted)
    if not dry_run:
        confirm = _confirmed(session, seen, confirm, yes=yes)
    done = session.client.quotas.put(
        team, wanted, revision=now.revision, confirm=confirm, dry_run=dry_run
    )
    USE.within(done, done.use, output)
    same = "stays as it is: nothing was to be changed" if done.quota == now.quota else "set"
    session.say(f"Quota of {team} {'would be set' if dry_run else same}.")


@app.command()
def preview(
    ctx: typer.Context,
    team: Team,
    *,
    limit: Limits = None,
    guaranteed: Guaranteed = None,
    remove: Remove = None,
    output: Output = Format.TABLE,
) -> None:
    """What a change would do: before and after, what is over, who would get in."""
    session = session_of(ctx)
    _, wanted = _wanted(session, team, limit, guaranteed, remove, "")
    seen = session.client.quotas.preview(team, wanted)
    LINES.within(seen, seen.lines, output)
    if output is Format.TABLE:
        _explain(session, seen)


@app.command()
def history(
    ctx: typer.Context,
    team: Team,
    last: Annotated[int, typer.Option("--last", min=1, help="At most this many.")] = 20,
    output: Output = Format.TABLE,
) -> None:
    """What the quota was, who changed it and why, the newest first."""
    session = session_of(ctx)
    with _known(session, team):
        HISTORY.many(list(itertools.islice(session.client.quotas.history(team), last)), output)


@app.command()
def revert(
    ctx: typer.Context,
    team: Team,
    number: Annotated[int, typer.Argument(help="Of the history.")],
    *,
    note: Note = "",
    confirm: Confirmed = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    output: Output = Format.TABLE,
) -> None:
    """Set the quota to what it was at a number of the history."""
    session = session_of(ctx)
    client = session.client
    with _known(session, team):
        now = client.quotas.get(team)
    then = next((r for r in client.quotas.history(team) if r.number == number), None)
    if then is None:
        raise UsageError(f"The history of {team} has no number {number}; see atoll quota history.")
    if not dry_run:
        seen = client.quotas.preview(team, QuotaWrite(quota=then.quota))
        confirm = _confirmed(session, seen, confirm, yes=yes)
    wanted = QuotaRevert(number=number, note=note)
    done = client.quotas.revert(
        team, wanted, revision=now.revision, confirm=confirm, dry_run=dry_run
    )
    USE.within(done, done.use, output)
    session.say(f"Quota of {team} {'would be' if dry_run else 'is'} as at number {number}.")


def _known(session: Session, team: str) -> AbstractContextManager[None]:
    return did_you_mean(
        team, lambda: (t.name for t in session.client.teams.all()), "atoll team list"
    )


def _wanted(
    session: Session,
    team: str,
    limit: list[str] | None,
    guaranteed: list[str] | None,
    remove: list[str] | None,
    note: str,
) -> tuple[QuotaRead, QuotaWrite]:
    """The quota as it is, and as it would be with these lines."""
    limits = assignments(limit or (), "--limit")
    promised = assignments(guaranteed or (), "--guaranteed")
    if not (limits or promised or remove):
        raise UsageError("Say what to change: --limit, --guaranteed or --remove.")
    with _known(session, team):
        now = session.client.quotas.get(team)
    if unknown := [name for name in remove or () if name not in now.quota]:
        raise UsageError(
            f"--remove {unknown[0]}: the quota of {team} names {', '.join(now.quota) or 'nothing'}."
        )
    lines = {name: line.dump() for name, line in now.quota.items() if name not in (remove or ())}
    for name, amount in limits.items():
        lines.setdefault(name, {})["limit"] = amount
    for name, amount in promised.items():
        if name not in lines:
            raise UsageError(f"{name} has no limit; name one with --limit {name}=AMOUNT as well.")
        lines[name]["guaranteed"] = amount
    quota = {name: _line(name, line) for name, line in lines.items()}
    return now, QuotaWrite(quota=quota, note=note)


def _line(name: str, line: dict[str, str]) -> QuotaLine:
    for part, text in line.items():
        try:
            parse_quantity(text)
        except ValueError as error:
            raise UsageError(
                f"--{part} {name}={text}: {text!r} is no amount; write 16, 500m or 64Gi."
            ) from error
    return QuotaLine.model_validate(line)


def _confirmed(session: Session, seen: QuotaPreview, given: str | None, *, yes: bool) -> str | None:
    return confirmed(
        session, seen, given, yes=yes, over=f"{seen.team} is reserved",
        explain=lambda: _explain(session, seen),
    )  # fmt: skip


def _explain(session: Session, seen: QuotaPreview) -> None:
    for line in seen.lines:
        if line.over != "0":
            taken = f"{line.reserved} reserved"
            session.say(over_words(line.resource, taken, line.limit_after, line.over))
    for holder in seen.no_longer_fit:
        session.say(f"would not be let in again: {holder.virtual_cluster} ({pairs(holder.demand)})")
    for holder in seen.would_be_admitted:
        session.say(f"would get in: {holder.virtual_cluster} ({pairs(holder.demand)})")
    say_confirm(session, seen)
