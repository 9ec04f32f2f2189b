"""What the platform's bundle holds: profiles ask for that, or are refused while they are written."""

import glob
from collections.abc import Iterator
from pathlib import Path

from atoll.errors import FieldProblem
from atoll.hosts.bundle import Bundle, images_by_part, sha256
from atoll.hosts.errors import BundleError
from atoll.resources.profiles import Chart, ProfileSpec

_CHARTS = {
    "vcluster": "/spec/vcluster/chart",
    "kuberay": "/spec/kuberay/chart",
    "scheduler": "/spec/scheduler/chart",
}
_VERSIONS = {
    "kubernetes": "/spec/kubernetes/version",
    "ray": "/spec/ray/version",
    "redis": "/spec/redis/image",
} | {part: f"{pointer}/version" for part, pointer in _CHARTS.items()}
_WAY_OUT = "take one that is there, or add it with atoll bundle pull -f FILE"


class Stock:
    """The charts and images of a bundle folder; without one everything may be had elsewhere.

    Charts: with a bundle the worker asks no repository, so what is not in it cannot be installed.
    Images: nodes may have them from elsewhere (a registry, or loaded by hand), and a bundle may have
    charts alone. So only a version of an image of which the bundle has other versions is refused, and
    none when the profile has a registry of its own.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    @property
    def known(self) -> bool:
        """Whether there is a bundle to hold profiles to."""
        return self._folder is not None

    def problems(self, spec: ProfileSpec) -> list[FieldProblem]:
        """What a profile asks for and the bundle has not; each with what it has instead."""
        if self._folder is None:
            return []
        charts = {"vcluster": spec.vcluster.chart, "kuberay": spec.kuberay.chart,
                  "scheduler": spec.scheduler.chart}  # fmt: skip
        found = [
            problem
            for part, chart in charts.items()
            for problem in self._chart(chart, _CHARTS[part], self._folder)
        ]
        wrong = {problem.pointer for problem in found}
        images = (p for p in self._images(spec, self._folder) if p.pointer not in wrong)
        return found + list(images)

    def _chart(self, chart: Chart, pointer: str, folder: Path) -> Iterator[FieldProblem]:
        name = f"{chart.name}-{chart.version}.tgz"
        places = (folder / name, folder / "charts" / name)
        archive = next((place for place in places if place.exists()), None)
        if archive is None:
            beginning = f"{chart.name}-"
            there = sorted(
                file.name.removeprefix(beginning).removesuffix(".tgz")
                for place in (folder, folder / "charts")
                for file in place.glob(f"{glob.escape(beginning)}[0-9]*.tgz")
            )
            yield _lacking(f"{pointer}/version", f"chart {chart.name} {chart.version}", there)
        elif chart.digest and chart.digest != f"sha256:{sha256(archive)}":
            yield FieldProblem(
                f"{pointer}/digest",
                f"is not that of {name} in the platform's bundle, which is sha256:{sha256(archive)}; "
                "correct it, or put the right archive there",
            )

    def _images(self, spec: ProfileSpec, folder: Path) -> Iterator[FieldProblem]:
        if spec.registry:
            return
        try:
            held = {image.reference for image in Bundle.read(folder).images}
        except BundleError:
            return  # charts without an index, as helm/atoll mounts them
        wanted = images_by_part(spec.dump())
        if spec.redis.external:
            wanted.pop("redis")
        for part, references in wanted.items():
            for reference in references:
                image, _, _ = reference.rpartition(":")
                others = sorted(
                    other.removeprefix(f"{image}:")
                    for other in held
                    if other.startswith(f"{image}:")
                )
                if others and reference not in held and part in _VERSIONS:
                    yield _lacking(_VERSIONS[part], f"image {reference}", others)


def _lacking(pointer: str, what: str, there: list[str]) -> FieldProblem:
    has = f"it has {', '.join(there)}; {_WAY_OUT}" if there else f"it has none; {_WAY_OUT}"
    return FieldProblem(
        pointer, f"{what} is not in the platform's bundle: {has}", ", ".join(there) or None
    )
