"""Where the benches find Volcano: a bundle's index says it, whatever its files are called."""

import json
from pathlib import Path

import pytest
from bench.gangs.volcano import SCHEDULER, NoVolcanoError, chart_of, image_of


def indexed(folder: Path, charts: dict[str, str], images: dict[str, str]) -> Path:
    """A bundle by its index alone: version or reference -> file."""
    index = {
        "charts": [
            {"name": "volcano", "version": version, "file": file, "sha256": "0"}
            for version, file in charts.items()
        ],
        "images": [
            {"reference": reference, "file": file, "sha256": "0"}
            for reference, file in images.items()
        ],
    }
    (folder / "index.json").write_text(json.dumps(index))
    return folder


def test_the_highest_version_is_taken_by_number(tmp_path: Path) -> None:
    bundle = indexed(
        tmp_path,
        {"1.9.0": "charts/z.tgz", "1.15.1": "charts/a.tgz"},
        {
            "docker.io/volcanosh/vc-scheduler:v1.9.0": "images/z.tar",
            "registry.example:5000/volcanosh/vc-scheduler:v1.15.1": "images/a.tar",
            "docker.io/volcanosh/vc-controller-manager:v1.16.0": "images/c.tar",
        },
    )
    assert chart_of(bundle) == bundle / "charts/a.tgz"
    assert image_of(bundle, SCHEDULER) == bundle / "images/a.tar"


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    with pytest.raises(NoVolcanoError, match=r"no index\.json"):
        chart_of(tmp_path)
    bundle = indexed(tmp_path, {}, {"docker.io/library/redis:7": "images/redis.tar"})
    with pytest.raises(NoVolcanoError, match="no image of vc-scheduler"):
        image_of(bundle, SCHEDULER)
