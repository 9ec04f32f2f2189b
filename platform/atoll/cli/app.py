"""The command line: the nouns, the options they share, and how errors end it."""

import os
import sys
from typing import Annotated

import typer

from atoll.cli import (
    accounts,
    bundles,
    events,
    kubeconfigs,
    machine,
    operations,
    profiles,
    quota_requests,
    quotas,
    ray_clusters,
    ray_jobs,
    teams,
    virtual_clusters,
)
from atoll.cli.apply import apply
from atoll.cli.exits import Exit, exit_code, tell
from atoll.cli.session import Session
from atoll.errors import AtollError

app = typer.Typer(
    name="atoll",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""A virtual Kubernetes cluster for every team, with Ray ready in it.

    \b
    Examples:
      atoll up                                    everything on this machine, with a demo
      atoll team create vision --quota cpu=16,memory=64Gi
      atoll vc create lab --team vision --nodes 4c8g=2
      atoll job submit --vc lab --cluster demo --working-dir . -- python train.py
    """,
)


@app.callback()
def _root(
    ctx: typer.Context,
    api_url: Annotated[
        str | None, typer.Option("--api-url", help="Address of the API (or ATOLL_API_URL).")
    ] = None,
    context: Annotated[
        str | None, typer.Option("--context", help="A context of `atoll login`.")
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Request ids and traces.")] = False,
    _version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=accounts.tell_version, help="The version, and end."
        ),
    ] = False,
) -> None:
    ctx.obj = Session(api_url=api_url, context=context, debug=debug)


quotas.app.add_typer(quota_requests.app)  # without a name: its verbs are verbs of `quota`
for name, noun in (
    ("team", teams.app),
    ("quota", quotas.app),
    ("profile", profiles.app),
    ("vc", virtual_clusters.app),
    ("ray", ray_clusters.app),
    ("job", ray_jobs.app),
    ("operation", operations.app),
    ("event", events.app),
    ("kubeconfig", kubeconfigs.app),
    ("bundle", bundles.app),
):
    app.add_typer(noun, name=name)
app.add_typer(virtual_clusters.app, name="virtual-cluster", hidden=True)
for command in (
    machine.up, machine.down, machine.status, apply, kubeconfigs.credential,
    accounts.login, accounts.logout, accounts.whoami, accounts.version,
):  # fmt: skip
    app.command()(command)


def main() -> None:
    """Run the command line; the exit codes are in `atoll.cli.exits`."""
    try:
        app()
    except AtollError as error:
        tell(error, debug="--debug" in sys.argv)
        sys.exit(exit_code(error))
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has enough; Python must not complain about it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.OK)


if __name__ == "__main__":
    main()
