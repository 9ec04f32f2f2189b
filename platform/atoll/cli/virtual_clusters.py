"""atoll vc: virtual clusters, each owned by one team."""

from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from atoll.cli import manifests
from atoll.cli.confirmations import Confirmed
from atoll.cli.exits import UsageError
from atoll.cli.options import (
    DryRun,
    File,
    Output,
    Timeout,
    Wait,
    Yes,
    assignments,
    counts,
    seconds,
    session_of,
)
from atoll.cli.output import Format, Shape, age, pairs
from atoll.cli.session import Session, did_you_mean
from atoll.cli.states import state_lines
from atoll.cli.virtual_cluster_quotas import LINES, explain, update_confirmed
from atoll.cli.waiting import Waiter
from atoll.contract.virtual_clusters import (
    VirtualClusterCreate,
    VirtualClusterQuotaWrite,
    VirtualClusterRead,
)
from atoll.resources.virtual_clusters import VirtualClusterSpec

app = typer.Typer(help="Virtual clusters, each owned by one team.", no_args_is_help=True)


def _ready(vc: VirtualClusterRead) -> str:
    """Ready's reason, in one word."""
    found = next((c for c in vc.status.conditions if c.type == "Ready"), None)
    return found.reason if found else "NotLookedYet"


SHAPE: Shape[VirtualClusterRead] = Shape(
    ("NAME", lambda v: v.name),
    ("TEAM", lambda v: v.spec.team),
    ("PROFILE", lambda v: v.spec.profile),
    ("MODE", lambda v: v.spec.mode),
    ("NODES", lambda v: pairs(v.spec.replica_sets)),
    ("PHASE", lambda v: v.status.phase),
    ("REASON", _ready),
    ("KUBERNETES", lambda v: v.status.kubernetes_version),
    ("AGE", lambda v: age(v.created_at)),
)
Nodes = Annotated[
    list[str] | None,
    typer.Option("--nodes", help="Host nodes to own, as 4c8g=2,8c16g=1.", metavar="TEMPLATE=N,..."),
]
Quota = Annotated[
    list[str] | None,
    typer.Option("--quota", help="What it may hold: cpu=4,memory=8Gi.", metavar="NAME=AMOUNT,..."),
]
RayClusters = Annotated[
    list[str] | None,
    typer.Option("--ray-cluster", help="A Ray cluster to keep, as NAME=WORKERS.", metavar="NAME=N"),
]
Remove = Annotated[
    list[str] | None,
    typer.Option("--remove", help="A resource that the quota no longer names.", metavar="NAME"),
]
Values = Annotated[
    Path | None, typer.Option("--values", help="YAML file with extra vcluster chart values.")
]
DrainDeadline = Annotated[
    str | None,
    typer.Option(
        "--drain-deadline",
        help="When pods on nodes it gives back are deleted past their PodDisruptionBudgets: 30m, 0 "
        "for at once, never.",
        metavar="TIME",
    ),
]
NewRedisPassword = Annotated[
    bool, typer.Option("--new-redis-password", help="Have the password of its Redis made anew.")
]


@app.command("list")
def list_(
    ctx: typer.Context,
    team: Annotated[str | None, typer.Option("--team", help="Only of this team.")] = None,
    output: Output = Format.TABLE,
) -> None:
    """All virtual clusters you may see."""
    SHAPE.many(list(session_of(ctx).client.virtual_clusters.all(team=team)), output)


@app.command()
def get(ctx: typer.Context, name: str, output: Output = Format.TABLE) -> None:
    """One virtual cluster; on stderr what is used of its quota, and what does not hold and why."""
    session = session_of(ctx)
    found = _get(session, name)
    SHAPE.one(found, output)
    if output is Format.TABLE:
        for line in state_lines(found):
            session.say(line)


@app.command()
def create(
    ctx: typer.Context,
    name: Annotated[str | None, typer.Argument()] = None,
    *,
    team: Annotated[str | None, typer.Option("--team", help="The team that owns it.")] = None,
    profile: Annotated[str | None, typer.Option("--profile", help="Versions.")] = None,
    mode: Annotated[str | None, typer.Option("--mode", help="dedicated or shared.")] = None,
    nodes: Nodes = None,
    quota: Quota = None,
    ray_cluster: RayClusters = None,
    values: Values = None,
    file: File = None,
    wait: Wait = True,
    timeout: Timeout = "10m",
    dry_run: DryRun = False,
    output: Output = Format.TABLE,
) -> None:
    """A new virtual cluster.

    Example: atoll vc create lab --team vision --nodes 4c8g=2 --quota cpu=8,memory=16Gi
    """
    spec = _spec(
        profile=profile, mode=mode, nodes=nodes, quota=quota, ray=ray_cluster, values=values
    )  # fmt: skip
    if team:
        spec["team"] = team
    if file:
        document = manifests.single(file, "VirtualCluster")
        name, spec = name or document["name"], {**document["spec"], **spec}
    if not name or not spec.get("team"):
        raise UsageError("Give the new virtual cluster a name and --team, or a file with -f.")
    new = VirtualClusterCreate(
        name=name, spec=manifests.checked(VirtualClusterSpec, spec, "/spec")
    )  # fmt: skip
    session = session_of(ctx)
    made = session.client.virtual_clusters.create(new, dry_run=dry_run)
    finish(session, made, "create", wait=wait and not dry_run, timeout=timeout, dry_run=dry_run,
           output=output)  # fmt: skip


@app.command()
def update(
    ctx: typer.Context,
    name: str,
    *,
    profile: Annotated[str | None, typer.Option("--profile", help="Versions.")] = None,
    nodes: Nodes = None,
    quota: Quota = None,
    remove: Remove = None,
    ray_cluster: RayClusters = None,
    values: Values = None,
    new_redis_password: NewRedisPassword = False,
    drain_deadline: DrainDeadline = None,
    confirm: Confirmed = None,
    yes: Yes = False,
    wait: Wait = True,
    timeout: Timeout = "10m",
    dry_run: DryRun = False,
    output: Output = Format.TABLE,
) -> None:
    """Change a virtual cluster; what is not named stays. Ray clusters are a whole list.

    A quota below what is used is shown and asked about first.
    """
    spec = _spec(
        profile=profile, mode=None, nodes=nodes, quota=quota, ray=ray_cluster, values=values
    )  # fmt: skip
    if drain_deadline is not None:
        never = drain_deadline == "never"
        spec["drainDeadlineSeconds"] = None if never else int(seconds(drain_deadline))
    if remove:
        spec["quota"] = spec.get("quota", {}) | dict.fromkeys(remove)
    if not spec and not new_redis_password:
        raise UsageError(
            "Say what to change: --profile, --nodes, --quota, --remove, --ray-cluster, ..."
        )
    session = session_of(ctx)
    found = _get(session, name)
    if ray_cluster:
        # Only names and numbers of workers are said here: the sizes of those that are there stay.
        had = {kept.name: kept.dump() for kept in found.spec.ray_clusters}
        spec["rayClusters"] = [had.get(one["name"], {}) | one for one in spec["rayClusters"]]
    if new_redis_password:
        spec["redisPasswordVersion"] = found.spec.redis_password_version + 1
    changed = update_confirmed(session, found, spec, given=confirm, yes=yes, dry_run=dry_run)
    finish(session, changed, "change", wait=wait and not dry_run, timeout=timeout,
           dry_run=dry_run, output=output)  # fmt: skip


@app.command()
def preview(
    ctx: typer.Context,
    name: str,
    *,
    quota: Quota = None,
    remove: Remove = None,
    output: Output = Format.TABLE,
) -> None:
    """What another quota would do: before and after, what is over, what no longer fits.

    Example: atoll vc preview lab --quota cpu=4
    """
    changed = assignments(quota or (), "--quota")
    if not (changed or remove):
        raise UsageError("Say what to change: --quota or --remove.")
    session = session_of(ctx)
    now = {k: v for k, v in _get(session, name).spec.quota.items() if k not in (remove or ())}
    wanted = manifests.checked(VirtualClusterQuotaWrite, {"quota": now | changed})
    seen = session.client.virtual_clusters.preview_quota(name, wanted)
    LINES.within(seen, seen.lines, output)
    if output is Format.TABLE:
        explain(session, seen)


@app.command()
def delete(
    ctx: typer.Context,
    name: str,
    *,
    yes: Yes = False,
    wait: Wait = True,
    timeout: Timeout = "10m",
    dry_run: DryRun = False,
) -> None:
    """Remove a virtual cluster with everything in it."""
    session = session_of(ctx)
    found = _get(session, name)
    session.confirm(f"Delete virtual cluster {name} and everything in it?", yes=yes or dry_run)
    going = session.client.virtual_clusters.delete(name, revision=found.revision, dry_run=dry_run)
    if dry_run:
        session.say(f"Virtual cluster {name} would be deleted.")
    elif wait:
        Waiter(session, seconds(timeout)).gone(going or found)
        session.say(f"Virtual cluster {name} is gone.")
    else:
        identity = (going or found).operation.id
        session.say(f"Deletion accepted. Watch it: atoll operation wait {identity}")


@app.command()
def wait(
    ctx: typer.Context, name: str, timeout: Timeout = "10m", output: Output = Format.TABLE
) -> None:
    """Wait until a virtual cluster is as its spec says."""
    session = session_of(ctx)
    SHAPE.one(Waiter(session, seconds(timeout)).ready(_get(session, name)), output)


def finish(
    session: Session, accepted: VirtualClusterRead, what: str, *, wait: bool, timeout: str,
    dry_run: bool, output: Format,
) -> None:  # fmt: skip
    """Tell what became of a change: checked, accepted, or done."""
    if accepted.operation.warning:
        session.say(f"warning: {accepted.operation.warning}")
    if dry_run:
        session.say(f"The server would {what} {accepted.name}; nothing was written.")
    elif wait:
        accepted = Waiter(session, seconds(timeout)).ready(accepted)
    else:
        session.say(f"Accepted. Watch it: atoll operation wait {accepted.operation.id}")
    SHAPE.one(accepted, output)


def _get(session: Session, name: str) -> VirtualClusterRead:
    found = session.client.virtual_clusters
    with did_you_mean(name, lambda: (v.name for v in found.all()), "atoll vc list"):
        return found.get(name)


def _spec(
    *, profile: str | None, mode: str | None, nodes: list[str] | None, quota: list[str] | None,
    ray: list[str] | None, values: Path | None,
) -> dict[str, Any]:  # fmt: skip
    kept = [{"name": key, "workers": n} for key, n in counts(ray or (), "--ray-cluster").items()]
    wanted: dict[str, Any] = {
        "profile": profile,
        "mode": mode,
        "replicaSets": counts(nodes or (), "--nodes"),
        "quota": assignments(quota or (), "--quota"),
        "rayClusters": kept,
        "values": yaml.safe_load(values.read_text()) if values else None,
    }
    return {key: value for key, value in wanted.items() if value}
