"""The real bundle, as `atoll bundle` sees it: whole, and complete for its profiles."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.figures import Figures
from e2e.stage import NoStageError, bundle_folder


@pytest.fixture(scope="module")
def bundle() -> Path:
    try:
        return bundle_folder()
    except NoStageError as error:
        pytest.skip(f"end-to-end tests: {error}")


def atoll(bundle: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).with_name("atoll"))
    return subprocess.run(
        [program, "bundle", *arguments, "--bundle", str(bundle)],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip


def index(bundle: Path) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = json.loads((bundle / "index.json").read_text())
    return found


def test_the_bundle_is_as_its_index_says_and_complete(bundle: Path, figures: Figures) -> None:
    with figures.timed("every file of the bundle checked"):
        told = atoll(bundle, "verify")
    assert told.returncode == 0, told.stderr
    charts, images = (len(index(bundle)[kind]) for kind in ("charts", "images"))
    assert charts, "no charts"
    assert images, "no images"
    assert f"{charts} charts and {images} images are as the index says" in told.stderr
    own = [each["metadata"]["name"] for each in profiles(bundle)]
    assert "default" in own
    assert f"complete for {len(own)} profile" in told.stderr


def profiles(bundle: Path) -> list[dict[str, Any]]:
    told = atoll(bundle, "profiles")
    assert told.returncode == 0, told.stderr
    return list(yaml.safe_load_all(told.stdout))


def test_every_chart_and_image_is_named(bundle: Path) -> None:
    told = json.loads(atoll(bundle, "list", "-o", "json").stdout)["items"]
    known = index(bundle)
    charts = [(c["name"], c["version"], c["file"]) for c in known["charts"]]
    images = [(i["reference"], i["file"]) for i in known["images"]]
    assert [(t["name"], t["version"], t["file"]) for t in told if t["kind"] == "chart"] == charts
    assert [
        (f"{t['name']}:{t['version']}", t["file"]) for t in told if t["kind"] == "image"
    ] == images
    there = {str(file.relative_to(bundle)) for file in bundle.rglob("*.t*") if file.is_file()}
    assert {t["file"] for t in told} <= there
