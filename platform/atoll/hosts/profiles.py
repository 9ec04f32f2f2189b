"""Profiles by themselves: of what a bundle holds, and the tested ones where there is no bundle."""

import re
from dataclasses import dataclass
from typing import Any

from atoll.hosts.errors import BundleError

Manifest = dict[str, Any]
REPOSITORIES = {
    "vcluster": "https://charts.loft.sh",
    "kuberay-operator": "https://ray-project.github.io/kuberay-helm/",
    "volcano": "https://volcano-sh.github.io/helm-charts",
    "yunikorn": "https://apache.github.io/yunikorn-release",
}
KUBERNETES_IMAGE = "ghcr.io/loft-sh/kubernetes"
RAY_IMAGE = "docker.io/rayproject/ray"
REDIS_IMAGE = "docker.io/library/redis"
_TESTED_TAGS: dict[str, tuple[str, ...]] = {
    KUBERNETES_IMAGE: ("v1.36.3", "v1.35.4"),
    RAY_IMAGE: ("2.60.0", "2.56.1"),
}
"""Versions of a profile where there are no images to look at (the sandbox, or a registry)."""


@dataclass(frozen=True)
class KnownChart:
    """A version of a chart; `digest` is that of the archive at hand, None when there is none."""

    name: str
    version: str
    digest: str | None = None


BUILT_IN_CHARTS = (
    KnownChart("vcluster", "0.36.1"),
    KnownChart("kuberay-operator", "1.7.0"),
    KnownChart("kuberay-operator", "1.6.2"),
    KnownChart("volcano", "1.15.1"),
    KnownChart("yunikorn", "1.9.0"),
)
"""Without digests: whoever publishes a chart may pack it anew, and we keep none of their archives.
A bundle has them: what it pulled once is pinned in the profiles that come of it."""


def built_in_profiles() -> list[Manifest]:
    """The profiles of a platform with neither a bundle nor a profile of its own."""
    return Derivation(BUILT_IN_CHARTS, (), "the tested versions").profiles()


@dataclass(frozen=True)
class Derivation:
    """Makes profiles of charts and references of images; `source` says whose they are."""

    charts: tuple[KnownChart, ...]
    images: tuple[str, ...]
    source: str

    def profiles(self) -> list[Manifest]:
        """Profile `default` of the newest versions, `previous` of those before, if any, and
        `yunikorn`, the newest with that scheduler, if its chart is there.

        BundleError when a chart that every profile needs is not there.
        """
        newest = self._spec(0)
        made = [_profile("default", newest, "The newest tested versions")]
        before = self._spec(1)
        if before != newest:
            made.append(_profile("previous", before, "The versions before the newest"))
        if any(chart.name == "yunikorn" for chart in self.charts):
            other = {"name": "yunikorn", "chart": self._chart("yunikorn", 0)}
            words = "The newest tested versions, with YuniKorn instead of Volcano"
            made.append(_profile("yunikorn", {**newest, "scheduler": other}, words))
        return made

    def _spec(self, back: int) -> Manifest:
        """The spec of the versions `back` steps before the newest, or the oldest there is."""
        return {
            "kubernetes": {
                "version": self._tag(KUBERNETES_IMAGE, back).removeprefix("v"),
                "image": KUBERNETES_IMAGE,
            },
            "vcluster": {"chart": self._chart("vcluster", back)},
            "kuberay": {"chart": self._chart("kuberay-operator", back)},
            "scheduler": {"name": "volcano", "chart": self._chart("volcano", back)},
            "ray": {"version": self._tag(RAY_IMAGE, back), "image": RAY_IMAGE},
            "redis": {"image": f"{REDIS_IMAGE}:{self._tag(REDIS_IMAGE, 0, '7')}"},
        }

    def _chart(self, name: str, back: int) -> Manifest:
        there = sorted((c for c in self.charts if c.name == name), key=lambda c: _order(c.version))
        if not there:
            raise BundleError(f"{self.source} has no chart {name}; a profile needs one.")
        chart = there[max(-1 - back, -len(there))]
        made = {"repository": REPOSITORIES[name], "name": name, "version": chart.version}
        return made | ({"digest": chart.digest} if chart.digest else {})

    def _tag(self, image: str, back: int, default: str = "") -> str:
        prefix = f"{image}:"
        tags = [ref.removeprefix(prefix) for ref in self.images if ref.startswith(prefix)]
        tags = sorted(tags or _TESTED_TAGS.get(image, (default,)), key=_order)
        return tags[max(-1 - back, -len(tags))]


def _profile(name: str, spec: Manifest, description: str) -> Manifest:
    return {
        "apiVersion": "atoll.dev/v1alpha1",
        "kind": "Profile",
        "metadata": {"name": name},
        "spec": {"description": description, **spec},
    }


def _order(version: str) -> tuple[tuple[int, ...], bool, str]:
    """Sorts versions by their numbers; a pre-release comes before its release."""
    numbers, dash, rest = version.removeprefix("v").partition("-")
    return tuple(int(part) for part in re.findall(r"\d+", numbers)), not dash, rest
