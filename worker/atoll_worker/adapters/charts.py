"""Chart archives: from the bundle, from the cache, or from their repository; checked by digest."""

import asyncio
import hashlib
import os
import tempfile
from pathlib import Path

from atoll.errors import PermanentError, TemporaryError
from atoll.resources.profiles import Chart
from atoll_worker.adapters.command import ChartNotFoundError, ExecCommand


def digest(path: Path) -> str:
    """sha256:<hex> of a file."""
    return "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()


def _checked(path: Path, chart: Chart) -> Path:
    if chart.digest and digest(path) != chart.digest:
        raise PermanentError(
            f"The archive {path.name} hashes to {digest(path)}, the profile pins {chart.digest}. "
            "Put the right archive there or correct the profile.",
            reason="ChartDigestMismatch",
            who="admin",
        )
    return path


def _cache() -> Path:
    home = os.environ.get("ATOLL_CACHE") or str(Path.home() / ".cache" / "atoll")
    return Path(home) / "charts"


async def archive(chart: Chart, bundle: Path | None, helm: str) -> Path:
    """The chart's archive as a local file whose digest is the one that is pinned.

    Raises PermanentError (ChartDigestMismatch, ChartMissing), TemporaryError (RepositoryUnreachable).
    """
    name = f"{chart.name}-{chart.version}.tgz"
    if bundle is not None:
        path = next((p for p in (bundle / name, bundle / "charts" / name) if p.exists()), None)
        if path is None:
            raise PermanentError(
                f"The bundle {bundle} has no {name}. Add it with `atoll bundle pull`, or choose a "
                "profile whose charts are in the bundle.",
                reason="ChartMissing",
                who="admin",
            )
        return _checked(path, chart)
    cached = _cache() / name
    if cached.exists() and chart.digest and digest(cached) != chart.digest:
        cached.unlink()  # of another repository, or cut short: pull it anew before complaining
    if not cached.exists():
        await _pull(chart, cached, helm)
    return _checked(cached, chart)


async def _pull(chart: Chart, target: Path, helm: str) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    oci = chart.repository.startswith("oci://")
    source = (
        [f"{chart.repository}/{chart.name}"] if oci else [chart.name, "--repo", chart.repository]
    )
    try:
        # A folder of its own for each pull, which helm wants to be there; what is whole is moved.
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".pull-") as incoming:
            async with asyncio.timeout(120):
                await ExecCommand(executable=helm).run(
                    ["pull", *source, "--version", chart.version, "--destination", incoming]
                )
            (Path(incoming) / target.name).replace(target)
    except ChartNotFoundError as error:
        raise PermanentError(
            f"The repository {chart.repository} has no chart {chart.name} {chart.version}. Correct the "
            "version in the profile, or the repository.",
            reason="ChartMissing",
            who="admin",
        ) from error
    except Exception as error:
        raise TemporaryError(
            f"Chart {chart.name} {chart.version} could not be pulled from {chart.repository}: "
            f"{type(error).__name__}",
            reason="RepositoryUnreachable",
            delay=15,
        ) from error
