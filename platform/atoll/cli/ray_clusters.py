"""atoll ray: Ray clusters inside a virtual cluster."""

import sys
import time
from typing import Annotated, Any

import typer

from atoll.cli import manifests
from atoll.cli.exits import WaitTimeoutError
from atoll.cli.options import Output, Timeout, Vc, Wait, Yes, seconds, session_of
from atoll.cli.output import Format, Shape, age
from atoll.cli.session import Session, did_you_mean
from atoll.cli.states import use_lines
from atoll.contract.ray import RayClusterCreate, RayClusterRead
from atoll.errors import AtollError

app = typer.Typer(help="Ray clusters inside a virtual cluster.", no_args_is_help=True)
SHAPE: Shape[RayClusterRead] = Shape(
    ("NAME", lambda r: r.name),
    ("STATE", lambda r: r.state),
    ("WORKERS", lambda r: f"{r.ready_workers}/{r.workers}"),
    ("RAY", lambda r: r.ray_version),
    ("FAULT-TOLERANT", lambda r: "yes" if r.fault_tolerant else "no"),
    ("FROM-SPEC", lambda r: "yes" if r.from_spec else "no"),
    ("AGE", lambda r: age(r.created_at)),
)


@app.command("list")
def list_(ctx: typer.Context, vc: Vc = None, output: Output = Format.TABLE) -> None:
    """All Ray clusters of a virtual cluster."""
    session = session_of(ctx)
    SHAPE.many(session.client.ray_clusters.all(session.virtual_cluster(vc)), output)


@app.command()
def get(ctx: typer.Context, name: str, vc: Vc = None, output: Output = Format.TABLE) -> None:
    """One Ray cluster; on stderr what it waits for, and what is free for it."""
    session = session_of(ctx)
    where = session.virtual_cluster(vc)
    found = find(session, where, name)
    SHAPE.one(found, output)
    if output is not Format.TABLE or found.state == "ready":
        return
    session.say(f"{found.state}: {found.message}" if found.message else found.state)
    for line in use_lines(session.client.virtual_clusters.get(where)):
        session.say(f"quota of {where}: {line}")


@app.command()
def create(
    ctx: typer.Context,
    name: str,
    *,
    vc: Vc = None,
    workers: Annotated[int, typer.Option("--workers", min=0, help="Worker pods.")] = 1,
    worker_cpu: Annotated[str | None, typer.Option("--worker-cpu")] = None,
    worker_memory: Annotated[str | None, typer.Option("--worker-memory")] = None,
    worker_gpus: Annotated[int | None, typer.Option("--worker-gpus", min=0)] = None,
    head_cpu: Annotated[str | None, typer.Option("--head-cpu")] = None,
    head_memory: Annotated[str | None, typer.Option("--head-memory")] = None,
    wait: Wait = True,
    timeout: Timeout = "10m",
    output: Output = Format.TABLE,
) -> None:
    """A Ray cluster by hand. Example: atoll ray create train --workers 4 --worker-cpu 2"""
    session = session_of(ctx)
    where = session.virtual_cluster(vc)
    given: dict[str, Any] = {
        "name": name, "workers": workers, "workerCpu": worker_cpu, "workerMemory": worker_memory,
        "workerGpus": worker_gpus, "headCpu": head_cpu, "headMemory": head_memory,
    }  # fmt: skip
    new = {key: value for key, value in given.items() if value is not None}
    made = session.client.ray_clusters.create(where, manifests.checked(RayClusterCreate, new))
    if wait:
        made = wait_ready(session, where, name, seconds(timeout))
    else:
        session.say(f"Accepted. Look at it: atoll ray get {name} --vc {where}")
    SHAPE.one(made, output)


@app.command()
def delete(ctx: typer.Context, name: str, vc: Vc = None, yes: Yes = False) -> None:
    """Remove a Ray cluster that was made by hand."""
    session = session_of(ctx)
    where = session.virtual_cluster(vc)
    find(session, where, name)
    session.confirm(f"Delete Ray cluster {name} in {where}?", yes=yes)
    session.client.ray_clusters.delete(where, name)
    session.say(f"Deletion of Ray cluster {name} accepted.")


@app.command()
def logs(
    ctx: typer.Context,
    name: str,
    *,
    vc: Vc = None,
    pod: Annotated[str | None, typer.Option("--pod", help="The head's when none.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on as it grows.")] = False,
    tail: Annotated[
        int | None, typer.Option("--tail", help="The last lines only.", min=0, max=100_000)
    ] = None,
) -> None:
    """What a pod of a Ray cluster printed. Example: atoll ray logs main --tail 100 --follow"""
    session = session_of(ctx)
    where = session.virtual_cluster(vc)
    for piece in session.client.ray_clusters.logs(where, name, pod=pod, follow=follow, tail=tail):
        sys.stdout.write(piece)
        sys.stdout.flush()


def find(session: Session, where: str, name: str) -> RayClusterRead:
    """One Ray cluster, with a hint when the name is not there."""
    clusters = session.client.ray_clusters
    listing = f"atoll ray list --vc {where}"
    with did_you_mean(name, lambda: (r.name for r in clusters.all(where)), listing):
        return clusters.get(where, name)


def wait_ready(session: Session, where: str, name: str, timeout: float) -> RayClusterRead:
    """Wait until a Ray cluster is ready. AtollError when it failed, WaitTimeoutError."""
    deadline = time.monotonic() + timeout
    told = ""
    while True:
        found = session.client.ray_clusters.get(where, name)
        if found.state == "ready":
            return found
        if found.state == "failed":
            raise AtollError(f"Ray cluster {name} failed: {found.message}")
        now = f"{found.state}: {found.message}" if found.message else found.state
        if now != told:
            session.say(f"  ...    {now}")
            told = now
        if time.monotonic() > deadline:
            raise WaitTimeoutError(
                f"Ray cluster {name} was not ready within {timeout:g} s ({now}).",
                extra={"next": f"atoll ray get {name} --vc {where}"},
            )
        time.sleep(1.0)
