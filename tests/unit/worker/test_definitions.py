"""CustomResourceDefinitions read out of a chart's archive."""

import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from atoll.errors import PermanentError
from atoll_worker.adapters.definitions import definitions


def chart(folder: Path, files: Mapping[str, str]) -> Path:
    path = folder / "part-1.0.0.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path


def crd(name: str, note: str = "v1") -> str:
    meta = {"annotations": {"name": "no", "made-by": note}, "labels": {"name": "no"}, "name": name}
    body = {
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": meta, "spec": {"group": "ray.io", "names": {"name": "other"}},
    }  # fmt: skip
    return yaml.safe_dump(body)


def test_every_document_of_crds_and_of_charts_within_by_its_name(tmp_path: Path) -> None:
    path = chart(tmp_path, {
        "part/Chart.yaml": "name: part",
        "part/crds/a.yaml": "---\n" + crd("as.ray.io") + "---\n" + crd("bs.ray.io"),
        "part/charts/sub/crds/c.yml": "# a comment: kind\n" + crd("cs.ray.io"),
        "part/crds/README.md": "no definition",
        "part/templates/d.yaml": crd("ds.ray.io"),
    })  # fmt: skip
    found = definitions(path)
    assert set(found) == {"as.ray.io", "bs.ray.io", "cs.ray.io"}
    assert {yaml.safe_load(text)["metadata"]["name"] for text in found.values()} == set(found)


def test_a_chart_without_any_has_none(tmp_path: Path) -> None:
    assert definitions(chart(tmp_path, {"part/Chart.yaml": "name: part"})) == {}


@pytest.mark.parametrize("text", ["kind: ConfigMap\nmetadata:\n  name: x\n",
                                  "kind: CustomResourceDefinition\nspec: {}\n"])  # fmt: skip
def test_anything_else_in_crds_is_refused_in_words(tmp_path: Path, text: str) -> None:
    with pytest.raises(PermanentError, match=r"part/crds/a.yaml in part-1.0.0.tgz is not a Custom"):
        definitions(chart(tmp_path, {"part/crds/a.yaml": text}))
