"""atoll profile: tested sets of versions and defaults."""

from pathlib import Path
from typing import Annotated

import typer

from atoll.cli import manifests
from atoll.cli.options import DryRun, Output, Yes, session_of
from atoll.cli.output import Format, Shape, age
from atoll.cli.session import did_you_mean
from atoll.contract.profiles import ProfileCreate, ProfileRead
from atoll.resources.profiles import ProfileSpec

app = typer.Typer(help="Tested sets of versions and defaults.", no_args_is_help=True)
_VALID = {"True": "yes", "False": "no", "Unknown": "-"}
SHAPE: Shape[ProfileRead] = Shape(
    ("NAME", lambda p: p.name),
    ("KUBERNETES", lambda p: p.spec.kubernetes.version),
    ("VCLUSTER", lambda p: p.spec.vcluster.chart.version),
    ("KUBERAY", lambda p: p.spec.kuberay.chart.version),
    ("SCHEDULER", lambda p: f"{p.spec.scheduler.name}-{p.spec.scheduler.chart.version}"),
    ("RAY", lambda p: p.spec.ray.version),
    ("RETIRED", lambda p: "yes" if p.spec.retired else "no"),
    ("VALID", lambda p: _VALID[p.status.valid.status]),
    ("AGE", lambda p: age(p.created_at)),
)
Needed = Annotated[Path, typer.Option("-f", "--file", help="YAML file with a Profile.")]


@app.command("list")
def list_(ctx: typer.Context, output: Output = Format.TABLE) -> None:
    """All profiles."""
    SHAPE.many(list(session_of(ctx).client.profiles.all()), output)


@app.command()
def get(ctx: typer.Context, name: str, output: Output = Format.TABLE) -> None:
    """One profile; what is wrong with it, when something is, goes to stderr."""
    session = session_of(ctx)
    client = session.client
    with did_you_mean(name, lambda: (p.name for p in client.profiles.all()), "atoll profile list"):
        found = client.profiles.get(name)
    SHAPE.one(found, output)
    if found.status.valid.status == "False":
        session.say(f"Profile {name} is not valid: {found.status.valid.message}")


@app.command()
def create(
    ctx: typer.Context, file: Needed, dry_run: DryRun = False, output: Output = Format.TABLE
) -> None:
    """A new profile from a file. Example: atoll profile create -f profile.yaml"""
    document = manifests.single(file, "Profile")
    spec = manifests.checked(ProfileSpec, document["spec"], "/spec")
    new = ProfileCreate(name=document["name"], spec=spec)
    SHAPE.one(session_of(ctx).client.profiles.create(new, dry_run=dry_run), output)


@app.command()
def retire(ctx: typer.Context, name: str, output: Output = Format.TABLE) -> None:
    """No new virtual clusters of this profile; those there are keep running."""
    client = session_of(ctx).client
    with did_you_mean(name, lambda: (p.name for p in client.profiles.all()), "atoll profile list"):
        revision = client.profiles.get(name).revision
    SHAPE.one(client.profiles.update(name, {"retired": True}, revision=revision), output)


@app.command()
def delete(ctx: typer.Context, name: str, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Remove a profile that no virtual cluster uses."""
    session = session_of(ctx)
    client = session.client
    with did_you_mean(name, lambda: (p.name for p in client.profiles.all()), "atoll profile list"):
        found = client.profiles.get(name)
    session.confirm(f"Delete profile {name}?", yes=yes or dry_run)
    client.profiles.delete(name, revision=found.revision, dry_run=dry_run)
    session.say(f"Profile {name} {'would be deleted' if dry_run else 'deleted'}.")
