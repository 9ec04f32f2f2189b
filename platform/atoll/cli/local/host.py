"""Chooses the host and starts it: a kubeconfig that was given, kind, or the sandbox."""

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path

from atoll.cli.exits import UsageError
from atoll.cli.local.place import Place, State
from atoll.cli.local.steps import Steps
from atoll.cluster.client import Cluster
from atoll.errors import AtollError, UnavailableError
from atoll.hosts.bundle import Bundle
from atoll.hosts.bundle_transfer import docker_answers
from atoll.hosts.kind import Kind, lacking, unusable
from atoll.hosts.sandbox import Sandbox

KINDS = ("sandbox", "kind", "kubeconfig")
DEFAULT_NODES = {"4c8g": 2, "8c16g": 2}


@dataclass(frozen=True)
class Host:
    """A running host: how it is reached, and where its charts are (None: repositories)."""

    kind: str
    kubeconfig: Path
    charts: Path | None
    reach: str
    logs: Path | None = None


def choose(wanted: str | None, kubeconfig: Path | None, place: Place) -> tuple[str, str]:
    """Which host, and why, in words. UsageError when what was asked for cannot be."""
    asked = wanted or os.environ.get("ATOLL_HOST") or None
    if asked and asked not in KINDS:
        raise UsageError(f"host {asked!r} is none of {', '.join(KINDS)}.")
    before = place.state
    if before is not None:
        if asked and asked != before.host:
            raise UsageError(
                f"Platform {place.name} runs on the host {before.host}. Remove it with atoll down "
                f"--name {place.name}, or take another name with --name."
            )
        return before.host, "as before"
    if asked == "kind":
        _can_be_kind()
    if asked or kubeconfig:
        return asked or "kubeconfig", "asked for"
    reason = unusable(bundle_folder())
    return ("sandbox", f"no kind: {reason}") if reason else ("kind", "Docker answers")


def _can_be_kind() -> None:
    """UsageError when kind was asked for and cannot be; without root a route may be there already."""
    reason = lacking(bundle_folder()) if docker_answers() else "no Docker daemon answers"
    if reason:
        raise UsageError(
            f"The host cannot be kind: {reason}. Mend that, or take --host sandbox, which needs no "
            "containers."
        )


def start(kind: str, place: Place, nodes: dict[str, int], given: Path | None, steps: Steps) -> Host:
    """Start or find the host. Raises AtollError or the errors of `atoll.hosts`."""
    if kind == "sandbox":
        return _sandbox(place, nodes, steps)
    folder = bundle_folder()
    if kind == "kind":
        maker = Kind(place.name, place.kind, steps.say)
        with steps.step("Host (kind)"):
            made = maker.up(nodes, Bundle.read(folder) if folder else None)
        return Host("kind", made.kubeconfig, folder, "cluster-ip")
    path = kubeconfig_file(given, place.state)
    with steps.step(f"Host ({path})"):
        asyncio.run(_answers(path))
    return Host("kubeconfig", path, folder, "cluster-ip")


def kubeconfig_file(given: Path | None, before: State | None) -> Path:
    """The kubeconfig that was given: the flag, then what was used before, then KUBECONFIG."""
    kept = before.kubeconfig if before else None
    first = next((p for p in os.environ.get("KUBECONFIG", "").split(os.pathsep) if p), None)
    text = given or kept or first
    if text is None:
        raise UsageError("The host kubeconfig needs --kubeconfig FILE or KUBECONFIG.")
    path = Path(text).absolute()
    if not path.is_file():
        raise UsageError(f"The kubeconfig {path} is not there.")
    return path


def bundle_folder() -> Path | None:
    """The bundle of this machine: ATOLL_BUNDLE, or ~/.cache/atoll/bundle when it is there."""
    chosen = os.environ.get("ATOLL_BUNDLE")
    base = os.environ.get("ATOLL_CACHE") or Path.home() / ".cache" / "atoll"
    folder = Path(chosen) if chosen else Path(base) / "bundle"
    if (folder / "index.json").is_file():
        return folder.absolute()
    if chosen:
        raise UsageError(f"ATOLL_BUNDLE={chosen} has no index.json.")
    return None


def _sandbox(place: Place, nodes: dict[str, int], steps: Steps) -> Host:
    last = [time.monotonic()]

    def report(phase: str, _: float) -> None:
        now = time.monotonic()
        # A toolchain that is there already takes no time; downloads and builds are worth a line.
        if ":" not in phase or now - last[0] > 0.5:
            steps.phase(f"Host: {phase}", now - last[0])
        last[0] = now

    made = Sandbox(place.name, place.sandbox, report).up(nodes)
    return Host("sandbox", made.kubeconfig, made.charts, "kubeconfig", made.logs)


async def _answers(path: Path) -> None:
    try:
        async with Cluster.from_file(path) as cluster:
            await cluster.request("GET", "/version")
    except UnavailableError as error:
        raise AtollError(
            f"The host of {path} does not answer: {error.detail}", code="host_unreachable"
        ) from error
