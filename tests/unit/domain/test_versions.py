"""Versions: order, and which sets are refused."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atoll.domain.schedulers import VOLCANO
from atoll.domain.versions import (
    Running,
    Version,
    find_step_problems,
    find_version_problems,
    is_newer_release,
    parse_version,
)

GOOD: dict[str, Any] = {
    "kubernetes": "1.36.3", "vcluster": "0.36.1", "kuberay": "1.7.0", "scheduler": "1.15.1",
    "oldest_scheduler": VOLCANO.oldest, "ray": "2.60.0",
}  # fmt: skip


@settings(deadline=None)
@given(st.tuples(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99)))
def test_text_and_version_are_the_same(parts: tuple[int, int, int]) -> None:
    version = Version(*parts)
    assert parse_version(str(version)) == version == parse_version(f"v{version}")
    assert parse_version(f"{version}-rc.1") < version


def test_build_metadata_does_not_count() -> None:
    assert parse_version("1.30.0+k3s1") == Version(1, 30, 0)


@pytest.mark.parametrize(
    "text", ["", "latest", "1", "1.x", "1.2.3.4.5 6", "..", "1.36 "[:-1] + "!"]
)
def test_no_versions(text: str) -> None:
    with pytest.raises(ValueError, match="not a version"):
        parse_version(text)


def test_a_good_set() -> None:
    assert find_version_problems(**GOOD) == []


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"kubernetes": "1.29.9"}, "kubernetes"),
        ({"vcluster": "0.33.9"}, "vcluster"),
        ({"kuberay": "1.2.9"}, "kuberay"),
        ({"scheduler": "1.12.3"}, "scheduler"),
        ({"ray": "2.51.9"}, "ray"),
        ({"ray": "nightly"}, "ray"),
        ({"kubernetes": "9.99.9"}, "kubernetes"),
        ({"vcluster": "77.0.0"}, "vcluster"),
        ({"kuberay": "55.0.0"}, "kuberay"),
        ({"scheduler": "2.0.0"}, "scheduler"),
        ({"ray": "33.0.0"}, "ray"),
        ({"kubernetes": "1.33.4", "vcluster": "0.35.2"}, "vcluster"),
        ({"kubernetes": "1.33.4", "vcluster": "0.36.0"}, "vcluster"),
    ],
)
def test_sets_that_do_not_work(change: dict[str, str], part: str) -> None:
    (found,) = find_version_problems(**{**GOOD, **change})
    assert found.part == part


@pytest.mark.parametrize("vcluster", ["0.35.3", "0.35.9", "0.36.1", "0.37.0"])
def test_older_kubernetes_needs_a_vcluster_with_the_fix(vcluster: str) -> None:
    assert find_version_problems(**{**GOOD, "kubernetes": "1.33.4", "vcluster": vcluster}) == []


@pytest.mark.parametrize(
    ("told", "ours", "newer"),
    [
        ("0.2.0", "0.1.0", True),
        ("0.10.0", "0.9.0", True),
        ("0.2.0", "0.2.0.dev1", True),
        ("0.1.0", "0.1.0", False),
        ("0.1.0rc1", "0.1.0", False),
        ("0.1.0", "0.2.0", False),
        (None, "0.1.0", False),
        ("yesterday's", "0.1.0", False),
    ],
)
def test_which_release_of_ours_is_newer(told: str | None, ours: str, newer: bool) -> None:
    assert is_newer_release(told, ours) is newer


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        ({}, []),
        ({"kubernetes": "1.35.0"}, []),
        ({"kubernetes": "1.34.0"}, []),
        ({"kubernetes": "1.36.0"}, ["kubernetes"]),
        ({"kubernetes": "1.33.9"}, ["kubernetes"]),
        ({"kuberay": "1.7.1", "vcluster": "0.37.0"}, []),
        ({"kuberay": "1.6.9", "vcluster": "0.36.0"}, ["vcluster", "kuberay"]),
        ({"vcluster": "0.36.1-rc.1"}, ["vcluster"]),
        ({"kubernetes": "latest"}, []),
    ],
)
def test_what_runs_goes_one_step_forward_and_never_back(
    change: dict[str, str], parts: list[str]
) -> None:
    have = Running(kubernetes="1.34.2", vcluster="0.36.1", kuberay="1.7.0")
    assert [p.part for p in find_step_problems(have, replace(have, **change))] == parts
