"""atoll bundle: charts and images in a folder, for hosts without a network."""

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from atoll.cli import manifests
from atoll.cli.exits import UsageError
from atoll.cli.local.host import bundle_folder
from atoll.cli.options import Output, session_of
from atoll.cli.output import Format, table, write
from atoll.domain.plurals import count
from atoll.errors import AtollError
from atoll.hosts import bundle_transfer
from atoll.hosts.bundle import Bundle
from atoll.hosts.errors import BundleError, ToolchainError
from atoll.hosts.profiles import built_in_profiles
from atoll.hosts.recipes import KIND_NODE
from atoll.hosts.toolchain import Toolchain, cache_folder
from atoll.resources.profiles import ProfileSpec

app = typer.Typer(
    help="Charts and images in a folder, for hosts without a network.", no_args_is_help=True
)
Folder = Annotated[
    Path | None,
    typer.Option("--bundle", help="The folder; ATOLL_BUNDLE or ~/.cache/atoll/bundle if none."),
]
ProfileFiles = Annotated[
    list[Path] | None, typer.Option("--profile", "-f", help="YAML file with profiles.")
]


@app.command()
def pull(
    ctx: typer.Context,
    profile: ProfileFiles = None,
    bundle: Folder = None,
    images: Annotated[bool, typer.Option("--images/--no-images", help="Charts alone.")] = True,
    kind: Annotated[
        bool, typer.Option("--kind", help="Also the image that kind's nodes are made of.")
    ] = False,
) -> None:
    """Fetch what profiles need: charts by helm, images by skopeo, docker or ctr.

    Without -f the tested profiles are taken, those that `atoll up` makes where there is neither a
    bundle nor a profile.

    Example: atoll bundle pull -f profile.yaml --bundle ./bundle
    """
    session = session_of(ctx)
    wanted = _profiles(profile) if profile else built_in_profiles()
    folder = bundle or bundle_folder() or cache_folder() / "bundle"
    try:
        helm = str(Toolchain().path("helm"))
        puller = bundle_transfer.Puller(folder, helm, session.say)
        made = puller.pull(wanted, images=images, more=[KIND_NODE] if kind else [])
    except (BundleError, ToolchainError) as error:
        raise AtollError(str(error), code="bundle_pull") from error
    session.say(f"{folder}: {len(made.charts)} charts, {len(made.images)} images.")


@app.command()
def verify(ctx: typer.Context, profile: ProfileFiles = None, bundle: Folder = None) -> None:
    """Check every file against the index, and that nothing a profile needs is missing.

    Without -f the profiles that `atoll up` makes of this bundle are checked.
    """
    found = _read(bundle)
    wanted = _profiles(profile) if profile else _own_profiles(found)
    problems = found.problems(wanted)
    if problems:
        raise AtollError(
            f"{count(len(problems), 'problem')} in {found.folder}: {'; '.join(problems)}.",
            code="bundle_broken", extra={"next": "atoll bundle pull, with the -f FILE it was made with"},
        )  # fmt: skip
    session_of(ctx).say(
        f"{found.folder}: {len(found.charts)} charts and {len(found.images)} images are as the "
        f"index says, and complete for {count(len(wanted), 'profile')}."
    )


@app.command()
def load(
    ctx: typer.Context,
    into: Annotated[str, typer.Option("--into", help="containerd, docker or kind.")] = "containerd",
    bundle: Folder = None,
    cluster: Annotated[str, typer.Option("--cluster", help="Name of the kind cluster.")] = "kind",
    address: Annotated[
        str | None, typer.Option("--address", help="containerd's socket, if not the usual one.")
    ] = None,
) -> None:
    """Put the images onto the nodes of this machine.

    Example: atoll bundle load --into kind --cluster lab
    """
    if into not in ("containerd", "docker", "kind"):
        raise UsageError(f"--into {into!r} is none of containerd, docker, kind.")
    session, found = session_of(ctx), _read(bundle)
    try:
        program = str(Toolchain().path("kind")) if into == "kind" else None
        number = bundle_transfer.load(
            found, into, session.say, kind=program, name=cluster, address=address
        )  # fmt: skip
    except (BundleError, ToolchainError) as error:
        raise AtollError(str(error), code="bundle_load") from error
    session.say(f"{count(number, 'image')} loaded into {into}.")


@app.command("list")
def list_(ctx: typer.Context, bundle: Folder = None, output: Output = Format.TABLE) -> None:
    """What is in the bundle."""
    found = _read(bundle)
    rows: list[dict[str, Any]] = [
        {"name": c.name, "kind": "chart", "version": c.version, "file": c.file}
        for c in found.charts
    ]
    for image in found.images:
        name, _, tag = image.reference.rpartition(":")
        rows.append({"name": name, "kind": "image", "version": tag, "file": image.file})
    if output is Format.TABLE:
        table(["NAME", "KIND", "VERSION", "FILE"], [list(row.values()) for row in rows])
    elif output is Format.NAME:
        for row in rows:
            print(row["name"])
    else:
        write({"items": rows}, output)


@app.command()
def profiles(ctx: typer.Context, bundle: Folder = None) -> None:
    """The profiles that `atoll up` makes of the bundle, as YAML for `atoll apply -f`."""
    print(yaml.safe_dump_all(_own_profiles(_read(bundle)), sort_keys=False), end="")


def _read(folder: Path | None) -> Bundle:
    chosen = folder or bundle_folder()
    if chosen is None:
        raise UsageError("There is no bundle here; name one with --bundle, or pull one.")
    try:
        return Bundle.read(chosen)
    except BundleError as error:
        raise AtollError(str(error), code="bundle_broken") from error


def _own_profiles(found: Bundle) -> list[dict[str, Any]]:
    try:
        return found.profiles()
    except BundleError as error:
        raise AtollError(str(error), code="bundle_broken") from error


def _profiles(files: list[Path]) -> list[dict[str, Any]]:
    made = []
    for file in files:
        for document in manifests.documents(file):
            if document["kind"] not in (None, "Profile"):
                raise UsageError(f"{file}: {document['kind']} {document['name']} is not a Profile.")
            spec = manifests.checked(ProfileSpec, document["spec"], "/spec").dump()
            made.append({"metadata": {"name": document["name"]}, "spec": spec})
    return made
