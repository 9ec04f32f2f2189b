"""Versions and which of them go together. What is refused here is known not to work."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import total_ordering

from packaging.version import InvalidVersion
from packaging.version import Version as ReleaseVersion

_FORM = re.compile(r"^v?(\d+)\.(\d+)(?:\.(\d+))?(?:[-+.]?([0-9A-Za-z.+-]+))?$")


@total_ordering
@dataclass(frozen=True)
class Version:
    """A version as charts, Kubernetes and Ray write it. A pre-release is older than its release."""

    major: int
    minor: int
    patch: int = 0
    pre: str = ""

    @property
    def _key(self) -> tuple[int, int, int, bool, str]:
        return (self.major, self.minor, self.patch, not self.pre, self.pre)

    def __lt__(self, other: "Version") -> bool:
        return self._key < other._key

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}" + (f"-{self.pre}" if self.pre else "")


def parse_version(text: str) -> Version:
    """A version with or without `v`. Raises ValueError when it is none."""
    found = _FORM.match(text.strip())
    if not found:
        raise ValueError(f"{text!r} is not a version; write it like 1.36.3")
    major, minor, patch, rest = found.groups()
    pre = rest or ""
    return Version(int(major), int(minor), int(patch or 0), "" if text.count("+") else pre)


def is_newer_release(told: str | None, ours: str) -> bool:
    """Whether `told` is a newer version of Atoll than `ours`, by PEP 440.

    None, or what is no version, is not: a mark that nobody can read must not stop all work.
    """
    try:
        return told is not None and ReleaseVersion(told) > ReleaseVersion(ours)
    except InvalidVersion:
        return False


OLDEST_KUBERNETES = Version(1, 30)
"""Admission by policy (ValidatingAdmissionPolicy v1) is served from here on."""
OLDEST_VCLUSTER = Version(0, 34)
OLDEST_KUBERAY = Version(1, 3)
"""The first with gcsFaultToleranceOptions."""
OLDEST_RAY = Version(2, 52)
"""CVE-2025-62593 (remote code execution through a browser) is fixed in 2.52."""


@dataclass(frozen=True)
class VersionProblem:
    """A version that cannot be: which part of a profile, and why, with the way out."""

    part: str
    reason: str


def find_version_problems(
    *,
    kubernetes: str,
    vcluster: str,
    kuberay: str,
    scheduler: str,
    oldest_scheduler: Version,
    ray: str,
) -> list[VersionProblem]:
    """What is wrong with this set of versions; empty when nothing is known against it.

    `oldest_scheduler` is what `atoll.domain.schedulers` says of the scheduler that was chosen.
    """
    floors = {
        "kubernetes": (kubernetes, OLDEST_KUBERNETES),
        "vcluster": (vcluster, OLDEST_VCLUSTER),
        "kuberay": (kuberay, OLDEST_KUBERAY),
        "scheduler": (scheduler, oldest_scheduler),
        "ray": (ray, OLDEST_RAY),
    }
    found = [p for part, (text, floor) in floors.items() for p in _outside(part, text, floor)]
    return found or list(_pod_readiness(parse_version(kubernetes), parse_version(vcluster)))


def _outside(part: str, text: str, floor: Version) -> Iterator[VersionProblem]:
    try:
        version = parse_version(text)
    except ValueError as error:
        yield VersionProblem(part, str(error))
        return
    if (version.major, version.minor, version.patch) < (floor.major, floor.minor, floor.patch):
        yield VersionProblem(part, f"{text} is too old; the oldest supported version is {floor}")
    elif version.major > floor.major:
        # A new major version is another contract; ours was written for this one.
        yield VersionProblem(
            part,
            f"{text} is of a major version that Atoll does not know; versions {floor.major}.x from "
            f"{floor} on are supported",
        )


def _pod_readiness(kubernetes: Version, vcluster: Version) -> Iterator[VersionProblem]:
    """Kubernetes before 1.34 inside left pods at Ready=False (vcluster issue 3578)."""
    fixed = vcluster >= Version(0, 36, 1) or Version(0, 35, 3) <= vcluster < Version(0, 36, 0, "0")
    if kubernetes < Version(1, 34) and not fixed:
        yield VersionProblem(
            "vcluster",
            f"vcluster {vcluster} leaves pods of Kubernetes {kubernetes} not ready; use 0.35.3, "
            "0.36.1 or later, or Kubernetes 1.34 or later",
        )


@dataclass(frozen=True)
class Running:
    """The versions that a virtual cluster runs with and that cannot be changed at will."""

    kubernetes: str
    vcluster: str
    kuberay: str


def find_step_problems(have: Running, want: Running) -> list[VersionProblem]:
    """Why what runs with `have` cannot be changed to `want` in one step.

    Kubernetes never goes back and goes forward one minor version at a time (its version skew policy);
    KubeRay and vcluster keep what a newer version stored and an older one may not read. What is no
    version, because kubectl wrote it, is passed over: the profile's own check says so.
    """
    found: list[VersionProblem] = []
    if (pair := _both(have.kubernetes, want.kubernetes)) is not None:
        found += _kubernetes_step(*pair)
    for part, word, old, new in (
        ("vcluster", "vcluster", have.vcluster, want.vcluster),
        ("kuberay", "KubeRay", have.kuberay, want.kuberay),
    ):
        pair = _both(old, new)
        if pair is not None and pair[1] < pair[0]:
            reason = f"{word} cannot go back from {old} to {new}"
            found.append(VersionProblem(part, reason))
    return found


def _both(old: str, new: str) -> tuple[Version, Version] | None:
    try:
        return parse_version(old), parse_version(new)
    except ValueError:
        return None


def _kubernetes_step(have: Version, want: Version) -> Iterator[VersionProblem]:
    if (want.major, want.minor) < (have.major, have.minor):
        yield VersionProblem("kubernetes", f"Kubernetes cannot go back from {have} to {want}")
    elif want.major == have.major and want.minor > have.minor + 1:
        yield VersionProblem(
            "kubernetes",
            f"Kubernetes goes one minor version at a time; from {have} go to "
            f"{have.major}.{have.minor + 1} first",
        )
