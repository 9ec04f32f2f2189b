"""A profile is held to what the platform's bundle has."""

import json
from pathlib import Path
from typing import Any

import pytest

from atoll.application.stock import Stock
from atoll.hosts.bundle import sha256
from atoll.hosts.profiles import built_in_profiles
from atoll.resources.profiles import ProfileSpec

CHARTS = ["vcluster-0.36.1", "kuberay-operator-1.7.0", "kuberay-operator-1.6.2", "volcano-1.15.1"]
IMAGES = ["ghcr.io/loft-sh/kubernetes:v1.36.3", "docker.io/rayproject/ray:2.60.0",
          "docker.io/rayproject/ray:2.56.1"]  # fmt: skip


def profile(**parts: Any) -> ProfileSpec:
    spec = built_in_profiles()[0]["spec"]
    for part, change in parts.items():
        spec[part] = spec.get(part, {}) | change if isinstance(change, dict) else change
    return ProfileSpec.model_validate(spec)


def chart(name: str, version: str, digest: str | None = None) -> dict[str, Any]:
    return {
        "chart": {"repository": "https://x", "name": name, "version": version, "digest": digest}
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "charts").mkdir()
    for name in CHARTS:
        (tmp_path / "charts" / f"{name}.tgz").write_text(name)
    entries = [
        {"reference": i, "file": f"images/{n}.tar", "sha256": ""} for n, i in enumerate(IMAGES)
    ]
    (tmp_path / "index.json").write_text(json.dumps({"charts": [], "images": entries}))
    return tmp_path


def test_what_is_there(folder: Path) -> None:
    assert Stock(folder).problems(profile()) == []


def test_without_a_bundle_nobody_knows() -> None:
    assert Stock(None).problems(profile(vcluster=chart("vcluster", "0.77.0"))) == []


def test_a_chart_that_is_not_there(folder: Path) -> None:
    (problem,) = Stock(folder).problems(profile(kuberay=chart("kuberay-operator", "1.9.0")))
    assert problem.pointer == "/spec/kuberay/chart/version"
    assert "chart kuberay-operator 1.9.0 is not in the platform's bundle" in problem.detail
    assert "it has 1.6.2, 1.7.0; take one that is there, or add it with" in problem.detail
    assert problem.limit == "1.6.2, 1.7.0"


def test_a_chart_of_another_name(folder: Path) -> None:
    scheduler = {"name": "yunikorn", **chart("yunikorn", "1.9.0")}
    (problem,) = Stock(folder).problems(profile(scheduler=scheduler))
    assert "it has none; " in problem.detail


def test_another_digest(folder: Path) -> None:
    good = f"sha256:{sha256(folder / 'charts' / 'vcluster-0.36.1.tgz')}"
    assert Stock(folder).problems(profile(vcluster=chart("vcluster", "0.36.1", good))) == []
    (problem,) = Stock(folder).problems(profile(vcluster=chart("vcluster", "0.36.1", "sha256:00")))
    assert problem.pointer == "/spec/vcluster/chart/digest"
    assert good in problem.detail


@pytest.mark.parametrize(
    ("part", "version", "pointer", "has"),
    [
        ("ray", "2.99.0", "/spec/ray/version", "2.56.1, 2.60.0"),
        ("kubernetes", "1.99.9", "/spec/kubernetes/version", "v1.36.3"),
    ],
)
def test_an_image_that_is_not_there(
    folder: Path, part: str, version: str, pointer: str, has: str
) -> None:
    (problem,) = Stock(folder).problems(profile(**{part: {"version": version}}))
    assert (problem.pointer, problem.limit) == (pointer, has)


def test_images_from_elsewhere_are_not_judged(folder: Path) -> None:
    ours = {"version": "2.99.0", "image": "registry.example/ray"}
    assert Stock(folder).problems(profile(ray=ours)) == []
    mirrored = profile(ray={"version": "2.99.0"}, registry="registry.example")
    assert Stock(folder).problems(mirrored) == []


def test_charts_alone(folder: Path) -> None:
    (folder / "index.json").unlink()
    for place in (folder, folder / "charts"):
        assert Stock(place).problems(profile(ray={"version": "2.99.0"})) == []
        assert len(Stock(place).problems(profile(vcluster=chart("vcluster", "0.37.0")))) == 1
