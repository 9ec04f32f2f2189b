"""atoll apply: make the objects of a file so, whether they are there or not."""

from collections.abc import Callable
from typing import Any

import typer

from atoll.cli import manifests, profiles, teams, virtual_clusters
from atoll.cli.exits import UsageError
from atoll.cli.options import DryRun, File, Output, Timeout, Wait, session_of
from atoll.cli.output import Format
from atoll.cli.session import Session
from atoll.contract.profiles import ProfileCreate
from atoll.contract.teams import TeamCreate
from atoll.contract.virtual_clusters import VirtualClusterCreate, VirtualClusterRead
from atoll.errors import NotFoundError
from atoll.resources.profiles import ProfileSpec
from atoll.resources.teams import TeamSpec
from atoll.resources.virtual_clusters import VirtualClusterSpec

_ORDER = ("Profile", "Team", "VirtualCluster")


def apply(
    ctx: typer.Context,
    file: File = None,
    *,
    wait: Wait = True,
    timeout: Timeout = "10m",
    dry_run: DryRun = False,
    output: Output = Format.TABLE,
) -> None:
    """Create or change what a YAML file names: profiles, then teams, then virtual clusters.

    Example: atoll apply -f team.yaml
    """
    if file is None:
        raise UsageError("Say which file with -f FILE; - is standard input.")
    found = manifests.documents(file)
    for document in found:
        if document["kind"] not in _ORDER:
            raise UsageError(f"kind {document['kind']!r} is none of {', '.join(_ORDER)}.")
    session = session_of(ctx)
    for document in sorted(found, key=lambda d: _ORDER.index(d["kind"])):
        name, spec = document["name"], document["spec"]
        if document["kind"] == "Profile":
            _profile(session, name, spec, dry_run, output)
        elif document["kind"] == "Team":
            _team(session, name, spec, dry_run, output)
        else:
            made = _virtual_cluster(session, name, spec, dry_run)
            virtual_clusters.finish(
                session, made, "apply", wait=wait and not dry_run, timeout=timeout,
                dry_run=dry_run, output=output,
            )  # fmt: skip


def _revision(get: Callable[[], Any]) -> str | None:
    try:
        return str(get().revision)
    except NotFoundError:
        return None


def _profile(
    session: Session, name: str, spec: dict[str, Any], dry_run: bool, output: Format
) -> None:
    checked = manifests.checked(ProfileSpec, spec, "/spec")
    objects = session.client.profiles
    revision = _revision(lambda: objects.get(name))
    made = (
        objects.update(name, spec, revision=revision, dry_run=dry_run)
        if revision
        else objects.create(ProfileCreate(name=name, spec=checked), dry_run=dry_run)
    )
    profiles.SHAPE.one(made, output)


def _team(session: Session, name: str, spec: dict[str, Any], dry_run: bool, output: Format) -> None:
    checked = manifests.checked(TeamSpec, spec, "/spec")
    objects = session.client.teams
    revision = _revision(lambda: objects.get(name))
    made = (
        objects.update(name, spec, revision=revision, dry_run=dry_run)
        if revision
        else objects.create(TeamCreate(name=name, spec=checked), dry_run=dry_run)
    )
    teams.SHAPE.one(made, output)


def _virtual_cluster(
    session: Session, name: str, spec: dict[str, Any], dry_run: bool
) -> VirtualClusterRead:
    checked = manifests.checked(VirtualClusterSpec, spec, "/spec")
    objects = session.client.virtual_clusters
    revision = _revision(lambda: objects.get(name))
    if revision:
        return objects.update(name, spec, revision=revision, dry_run=dry_run)
    return objects.create(VirtualClusterCreate(name=name, spec=checked), dry_run=dry_run)
