"""The tested profiles: what a platform has that has neither a bundle nor a profile."""

from typing import Any

import pytest

from atoll.application.profiles import spec_problems
from atoll.hosts.bundle import needed_images
from atoll.hosts.profiles import BUILT_IN_CHARTS, built_in_profiles
from atoll.hosts.sandbox import DEFAULT_CHARTS
from atoll.resources.profiles import ProfileSpec

PROFILES = {manifest["metadata"]["name"]: manifest for manifest in built_in_profiles()}


def test_their_names() -> None:
    assert list(PROFILES) == ["default", "previous", "yunikorn"]


@pytest.mark.parametrize("name", list(PROFILES))
def test_the_api_takes_them(name: str) -> None:
    assert spec_problems(ProfileSpec.model_validate(PROFILES[name]["spec"])) == []


@pytest.mark.parametrize("name", list(PROFILES))
def test_charts_come_from_their_repositories(name: str) -> None:
    spec: dict[str, Any] = PROFILES[name]["spec"]
    charts = [spec[part]["chart"] for part in ("vcluster", "kuberay", "scheduler")]
    assert all(chart["repository"].startswith("https://") for chart in charts)
    assert all("digest" not in chart for chart in charts)  # none that we could vouch for


def test_previous_is_older_in_everything_that_a_team_sees() -> None:
    new, old = (ProfileSpec.model_validate(PROFILES[n]["spec"]) for n in ("default", "previous"))
    assert old.kubernetes.version < new.kubernetes.version
    assert old.kuberay.chart.version < new.kuberay.chart.version
    assert old.ray.version < new.ray.version


def test_the_images_of_their_domain_name_service_are_known() -> None:
    for manifest in PROFILES.values():
        assert any("/coredns:" in image for image in needed_images(manifest["spec"]))


def test_the_sandbox_plays_the_same_versions() -> None:
    assert set(DEFAULT_CHARTS) <= {(chart.name, chart.version) for chart in BUILT_IN_CHARTS}
