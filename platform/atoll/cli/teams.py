"""atoll team: people with one quota."""

from typing import Annotated

import typer

from atoll.cli import manifests
from atoll.cli.exits import UsageError
from atoll.cli.options import DryRun, File, Output, Yes, assignments, session_of
from atoll.cli.output import Format, Shape, age, pairs
from atoll.cli.session import did_you_mean
from atoll.cli.states import untrue
from atoll.contract.teams import TeamCreate, TeamRead
from atoll.resources.teams import TeamSpec

app = typer.Typer(help="People with one quota.", no_args_is_help=True)
SHAPE: Shape[TeamRead] = Shape(
    ("NAME", lambda t: t.name),
    ("PARENT", lambda t: t.spec.parent),
    ("LIMITS", lambda t: pairs({key: line.limit for key, line in t.spec.quota.items()})),
    ("RESERVED", lambda t: pairs(t.status.reserved)),
    ("MEMBERS", lambda t: len(t.spec.members)),
    ("AGE", lambda t: age(t.created_at)),
)
Quota = Annotated[
    list[str] | None,
    typer.Option("--quota", help="Limits, as cpu=16,memory=64Gi.", metavar="NAME=AMOUNT,..."),
]
Members = Annotated[
    list[str] | None,
    typer.Option(
        "--member",
        help='A person, as NAME=owner|member|viewer; "" for nobody.',
        metavar="NAME=ROLE",
    ),
]
Profiles = Annotated[
    list[str] | None, typer.Option("--profile", help='A profile it may choose; "" for all.')
]
Schedulers = Annotated[
    list[str] | None,
    typer.Option("--scheduler", help='A gang scheduler its profiles may have; "" for all.'),
]

Parent = Annotated[
    str | None,
    typer.Option("--parent", help='Team of whose quota it takes its share; "" for none.'),
]


@app.command("list")
def list_(ctx: typer.Context, output: Output = Format.TABLE) -> None:
    """All teams you may see."""
    SHAPE.many(list(session_of(ctx).client.teams.all()), output)


@app.command()
def get(ctx: typer.Context, name: str, output: Output = Format.TABLE) -> None:
    """One team; on stderr what is wrong with its quota or place, if anything is."""
    session = session_of(ctx)
    client = session.client
    with did_you_mean(name, lambda: (t.name for t in client.teams.all()), "atoll team list"):
        found = client.teams.get(name)
    SHAPE.one(found, output)
    if output is Format.TABLE:
        for line in untrue(found.status.conditions):
            session.say(line)


@app.command()
def create(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument()] = None,
    *,
    quota: Quota = None,
    member: Members = None,
    profile: Profiles = None,
    scheduler: Schedulers = None,
    parent: Parent = None,
    display_name: Annotated[str, typer.Option("--display-name")] = "",
    file: File = None,
    dry_run: DryRun = False,
    output: Output = Format.TABLE,
) -> None:
    """A new team.

    Example: atoll team create vision --quota cpu=16,memory=64Gi --member ada=owner
    """
    spec = _spec(quota, member, profile, display_name, scheduler)
    if parent is not None:
        spec["parent"] = parent or None
    if file:
        document = manifests.single(file, "Team")
        name, spec = name or document["name"], {**document["spec"], **spec}
    if not name:
        raise UsageError("Give the new team a name, or a file with -f.")
    new = TeamCreate(name=name, spec=manifests.checked(TeamSpec, spec, "/spec"))
    session = session_of(ctx)
    made = session.client.teams.create(new, dry_run=dry_run)
    SHAPE.one(made, output)
    session.say(f"Team {name} {'would be created' if dry_run else 'created'}.")


@app.command()
def update(
    ctx: typer.Context,
    name: str,
    *,
    quota: Quota = None,
    member: Members = None,
    profile: Profiles = None,
    scheduler: Schedulers = None,
    parent: Parent = None,
    display_name: Annotated[str, typer.Option("--display-name")] = "",
    dry_run: DryRun = False,
    output: Output = Format.TABLE,
) -> None:
    """Change a team: quota lines are set one by one; members, profiles, schedulers as whole lists."""
    spec = _spec(quota, member, profile, display_name, scheduler)
    if parent is not None:
        spec["parent"] = parent or None
    if not spec:
        raise UsageError(
            "Say what to change: --quota, --member, --profile, --scheduler, --parent or --display-name."
        )
    client = session_of(ctx).client
    with did_you_mean(name, lambda: (t.name for t in client.teams.all()), "atoll team list"):
        revision = client.teams.get(name).revision
    SHAPE.one(client.teams.update(name, spec, revision=revision, dry_run=dry_run), output)
    what = ", ".join(spec)
    session_of(ctx).say(f"Team {name} {'would be changed' if dry_run else 'changed'}: {what}.")


@app.command()
def delete(ctx: typer.Context, name: str, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Remove a team that has no virtual cluster left."""
    session = session_of(ctx)
    client = session.client
    with did_you_mean(name, lambda: (t.name for t in client.teams.all()), "atoll team list"):
        found = client.teams.get(name)
    session.confirm(f"Delete team {name}?", yes=yes or dry_run)
    client.teams.delete(name, revision=found.revision, dry_run=dry_run)
    session.say(f"Team {name} {'would be deleted' if dry_run else 'deleted'}.")


def _spec(
    quota: list[str] | None,
    member: list[str] | None,
    profile: list[str] | None,
    display: str,
    scheduler: list[str] | None,
) -> dict[str, object]:
    limits = assignments(quota or (), "--quota")
    people = assignments(member or (), "--member")
    spec: dict[str, object] = {}
    if limits:
        spec["quota"] = {key: {"limit": value} for key, value in limits.items()}
    if member is not None:
        spec["members"] = [{"name": key, "role": role} for key, role in people.items()]
    if profile is not None:
        spec["profiles"] = [name for name in profile if name]
    if scheduler is not None:
        spec["schedulers"] = [name for name in scheduler if name]
    if display:
        spec["displayName"] = display
    return spec
