"""atoll job: Ray jobs on a running Ray cluster."""

import secrets
import shlex
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TextIO

import typer

from atoll.cli.exits import Exit, WaitTimeoutError
from atoll.cli.options import Output, Timeout, Vc, Wait, Yes, assignments, seconds, session_of
from atoll.cli.output import Format, Shape, age
from atoll.cli.session import Session, did_you_mean
from atoll.client.ray_jobs import FINAL
from atoll.contract.ray import RayJobCreate, RayJobRead
from atoll.errors import AtollError

app = typer.Typer(help="Ray jobs on a running Ray cluster.", no_args_is_help=True)
SHAPE: Shape[RayJobRead] = Shape(
    ("NAME", lambda j: j.name),
    ("CLUSTER", lambda j: j.cluster),
    ("STATUS", lambda j: j.status),
    ("ENTRYPOINT", lambda j: j.entrypoint if len(j.entrypoint) < 60 else j.entrypoint[:57] + "..."),
    ("AGE", lambda j: age(j.started_at)),
)


@app.command("list")
def list_(ctx: typer.Context, vc: Vc = None, output: Output = Format.TABLE) -> None:
    """All jobs of a virtual cluster."""
    session = session_of(ctx)
    SHAPE.many(session.client.ray_jobs.all(session.virtual_cluster(vc)), output)


@app.command()
def get(ctx: typer.Context, name: str, vc: Vc = None, output: Output = Format.TABLE) -> None:
    """One job."""
    session = session_of(ctx)
    where = session.virtual_cluster(vc)
    jobs = session.client.ray_jobs
    listing = f"atoll job list --vc {where}"
    with did_you_mean(name, lambda: (j.name for j in jobs.all(where)), listing):
        SHAPE.one(jobs.get(where, name), output)


@app.command()
def submit(
    ctx: typer.Context,
    command: Annotated[list[str], typer.Argument(help="What to run, after --.")],
    *,
    cluster: Annotated[str, typer.Option("--cluster", help="The Ray cluster that runs it.")],
    vc: Vc = None,
    name: Annotated[str | None, typer.Option("--name", help="Also Ray's submission id.")] = None,
    working_dir: Annotated[
        Path | None, typer.Option("--working-dir", help="Folder to send to the cluster.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", help="Pattern of files that are not sent.")
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option("--env", help="Variable for the job.", metavar="NAME=VALUE")
    ] = None,
    pip: Annotated[list[str] | None, typer.Option("--pip", help="Python package to add.")] = None,
    wait: Wait = True,
    timeout: Timeout = "1h",
    output: Output = Format.TABLE,
) -> None:
    """Start a job, show what it prints, end with its result (1 when it failed).

    Example: atoll job submit --cluster demo --working-dir . -- python train.py --epochs 3
    """
    session = session_of(ctx)
    where = session.virtual_cluster(vc)
    runtime = _runtime(env or (), pip or ())
    if working_dir:
        runtime["working_dir"] = _send(session, where, cluster, working_dir, exclude or ())
    new = RayJobCreate(
        name=name or new_name(),
        cluster=cluster,
        entrypoint=shlex.join(command),
        runtime_env=runtime,
    )
    job = session.client.ray_jobs.submit(where, new)
    session.say(f"Job {job.name} submitted to {cluster} in {where}.")
    if wait:
        _finish(session, where, job.name, seconds(timeout), output)
    else:
        SHAPE.one(job, output)


def _runtime(env: Sequence[str], pip: Sequence[str]) -> dict[str, Any]:
    """Ray's runtime environment for the flags; nothing for those that were not given."""
    runtime: dict[str, Any] = {}
    if env:
        runtime["env_vars"] = assignments(env, "--env")
    if pip:
        runtime["pip"] = list(pip)
    return runtime


def _send(session: Session, where: str, cluster: str, folder: Path, exclude: Sequence[str]) -> str:
    """Send a folder to the Ray cluster unless it has it; the address that Ray knows it by."""
    package, sent = session.client.ray_clusters.send_folder(where, cluster, folder, exclude)
    size = len(package.content) / 1024
    session.say(f"{folder}: {size:.0f} KiB {'sent' if sent else 'already there'}")
    return package.uri


def _finish(session: Session, where: str, name: str, timeout: float, output: Format) -> None:
    """Show the job's log until it ends; AtollError (code "job_failed") when it did not succeed."""
    job = watch(session, where, name, timeout, _log_stream(output))
    if output is not Format.TABLE:
        SHAPE.one(job, output)
    session.say(f"Job {job.name}: {job.status}")
    if job.status != "SUCCEEDED":
        raise AtollError(
            job.message or f"Ray says {job.status}.", code="job_failed", who="you",
            extra={"next": f"atoll job logs {job.name} --vc {where}"},
        )  # fmt: skip


@app.command()
def logs(
    ctx: typer.Context,
    name: str,
    vc: Vc = None,
    follow: Annotated[bool, typer.Option("--follow", help="Until the job ends.")] = False,
) -> None:
    """What a job printed."""
    session = session_of(ctx)
    for piece in session.client.ray_jobs.logs(session.virtual_cluster(vc), name, follow=follow):
        sys.stdout.write(piece)
        sys.stdout.flush()


@app.command()
def wait(
    ctx: typer.Context, name: str, vc: Vc = None, timeout: Timeout = "1h",
    output: Output = Format.TABLE,
) -> None:  # fmt: skip
    """Wait for the end of a job; exit code 1 when it did not succeed."""
    session = session_of(ctx)
    where = session.virtual_cluster(vc)
    job = _over(session, where, name, time.monotonic() + seconds(timeout))
    SHAPE.one(job, output)
    if job.status != "SUCCEEDED":
        raise typer.Exit(Exit.FAILED)


@app.command()
def delete(ctx: typer.Context, name: str, vc: Vc = None, yes: Yes = False) -> None:
    """Stop a job and forget it."""
    session = session_of(ctx)
    where = session.virtual_cluster(vc)
    session.confirm(f"Stop and delete job {name} in {where}?", yes=yes)
    session.client.ray_jobs.delete(where, name)
    session.say(f"Job {name} deleted.")


def new_name() -> str:
    """A name for a job that was given none."""
    return f"job-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"


def watch(session: Session, where: str, name: str, timeout: float, to: TextIO) -> RayJobRead:
    """Copy the job's log until it ends. Ctrl-C ends only the watching."""
    deadline = time.monotonic() + timeout
    try:
        for piece in session.client.ray_jobs.logs(where, name, follow=True):
            to.write(piece)
            to.flush()
            if time.monotonic() > deadline:
                break
        return _over(session, where, name, deadline)
    except KeyboardInterrupt:
        session.say(f"\nDetached; the job goes on: atoll job logs {name} --vc {where} --follow")
        raise SystemExit(Exit.INTERRUPTED) from None


def _over(session: Session, where: str, name: str, deadline: float) -> RayJobRead:
    job = session.client.ray_jobs.wait(where, name, deadline=deadline)
    if job.status in FINAL:
        return job
    raise WaitTimeoutError(
        f"Job {name} is {job.status}; it goes on.",
        extra={"next": f"atoll job wait {name} --vc {where}"},
    )


def _log_stream(output: Format) -> TextIO:
    # stdout is for one kind of data: the log, or the job as an object when that was asked for.
    return sys.stdout if output is Format.TABLE else sys.stderr
