"""atoll kubeconfig and atoll credential: kubectl into a virtual cluster, without stored secrets."""

import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from atoll.cli.contexts import write_private
from atoll.cli.exits import UsageError
from atoll.cli.options import Output, session_of
from atoll.cli.output import Format, write
from atoll.cli.session import Session, did_you_mean
from atoll.errors import ConflictError

app = typer.Typer(help="Kubeconfigs without secrets in them.", no_args_is_help=True)
_LOCK_SECONDS = 5.0
_LISTS = ("clusters", "users", "contexts")


@app.command()
def get(
    ctx: typer.Context,
    name: str,
    *,
    write_file: Annotated[
        bool, typer.Option("--write", help="Merge into $KUBECONFIG or ~/.kube/config.")
    ] = False,
    use: Annotated[
        bool, typer.Option("--use", help="With --write: make it the current context.")
    ] = False,
    output: Output = Format.YAML,
) -> None:
    """The kubeconfig of a virtual cluster; it asks `atoll credential` for short-lived tokens.

    Example: atoll kubeconfig get lab > lab.yaml && kubectl --kubeconfig lab.yaml get pods
    """
    session = session_of(ctx)
    config = _fetch(session, name)
    if not write_file:
        write(config, Format.YAML if output is Format.TABLE else output)
        return
    target = default_file()
    merge(target, config, use=use)
    context = config["current-context"]
    session.say(f"Context {context} written to {target}: kubectl --context {context} get pods")


def credential(
    ctx: typer.Context,
    name: str,
    api_url: Annotated[str | None, typer.Option("--api-url", help="Address of the API.")] = None,
) -> None:
    """A short-lived token for a virtual cluster, as kubectl's exec plugins give it."""
    session = session_of(ctx)
    session.api_url = api_url or session.api_url
    found = session.client.virtual_clusters.credential(name)
    answer = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": found.token, "expirationTimestamp": found.expires_at},
    }
    print(json.dumps(answer))


def default_file() -> Path:
    """The kubeconfig that kubectl would write to."""
    first = next((p for p in os.environ.get("KUBECONFIG", "").split(os.pathsep) if p), None)
    return Path(first) if first else Path.home() / ".kube" / "config"


def merge(target: Path, config: dict[str, Any], *, use: bool) -> None:
    """Add or replace the entries of a kubeconfig in a file; every other entry stays.

    UsageError when the file is not a kubeconfig, ConflictError when another program holds it.
    """
    target = target.resolve()
    target.parent.mkdir(parents=True, exist_ok=True)
    with _locked(target):
        present = _read(target)
        for part in _LISTS:
            fresh = {entry["name"]: entry for entry in config.get(part) or ()}
            kept = [e for e in present.get(part) or () if e.get("name") not in fresh]
            present[part] = [*kept, *fresh.values()]
        if use or not present.get("current-context"):
            present["current-context"] = config["current-context"]
        write_private(target, yaml.safe_dump(present, sort_keys=False))


def _fetch(session: Session, name: str) -> dict[str, Any]:
    found = session.client.virtual_clusters
    with did_you_mean(name, lambda: (v.name for v in found.all()), "atoll vc list"):
        config = found.kubeconfig(name)
    if shutil.which("atoll") is None:
        # kubectl looks for the plugin on PATH; from a checkout it is not there.
        for user in config.get("users") or ():
            user["user"]["exec"]["command"] = str(Path(sys.executable).with_name("atoll"))
    if any(c["cluster"]["server"].startswith("http:") for c in config.get("clusters") or ()):
        session.say("Note: kubectl sends no token over plain http; this address needs https.")
    return config


def _read(target: Path) -> dict[str, Any]:
    empty = {"apiVersion": "v1", "kind": "Config", "preferences": {}}
    if not target.exists():
        return empty
    try:
        found = yaml.safe_load(target.read_text())
    except yaml.YAMLError as error:
        raise UsageError(f"{target} is not YAML; it was left as it is.") from error
    if found is None:
        return empty
    lists = isinstance(found, dict) and all(
        isinstance(found.get(part) or [], list) for part in _LISTS
    )
    if not lists:
        raise UsageError(f"{target} is not a kubeconfig; it was left as it is.")
    return dict(found)


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    # The same lock file that kubectl takes, so that neither loses what the other writes.
    lock = target.with_name(target.name + ".lock")
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        try:
            lock.touch(exist_ok=False)
            break
        except FileExistsError:
            if time.monotonic() > deadline:
                raise ConflictError(
                    f"{lock} exists: another program is writing {target}. Remove it if none is."
                ) from None
            time.sleep(0.1)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
