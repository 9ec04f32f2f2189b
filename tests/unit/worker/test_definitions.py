"""CustomResourceDefinitions read out of a chart's archive."""

import io
import tarfile
import textwrap
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


def versions(document: bytes | str) -> list[str]:
    return [one["name"] for one in yaml.safe_load(document)["spec"]["versions"]]


def with_versions(*versions: Mapping[str, object]) -> str:
    """As controller-gen writes it: lists below `spec` stand under their key."""
    made = [textwrap.indent(yaml.safe_dump([dict(one)], sort_keys=False), "  ") for one in versions]
    head = crd("as.ray.io").rstrip("\n")
    return f"{head}\n  versions:\n{''.join(made)}status:\n  storedVersions:\n  - v1\n"


SCHEMA = {"openAPIV3Schema": {"properties": {"deprecated": {"type": "string"}}, "type": "object"}}
STORED = {"name": "v1", "served": True, "storage": True, "schema": SCHEMA}
OLD = {"name": "v1alpha1", "served": True, "storage": False, "schema": SCHEMA}


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([STORED, OLD], ["v1", "v1alpha1"]),
        ([STORED, {**OLD, "deprecated": True}], ["v1"]),
        ([{"deprecated": True, **OLD}, STORED], ["v1"]),
        ([{**OLD, "storage": True, "deprecated": True}], ["v1alpha1"]),
        ([{**OLD, "deprecated": True}], ["v1alpha1"]),
    ],
)
def test_a_version_that_is_deprecated_and_not_stored_is_left_out(
    tmp_path: Path, given: list[Mapping[str, object]], kept: list[str]
) -> None:
    text = with_versions(*given)
    assert "\n  versions:\n  - " in text
    (found,) = definitions(chart(tmp_path, {"part/crds/a.yaml": text})).values()
    assert versions(found) == kept
    rest = yaml.safe_load(found)
    whole = yaml.safe_load(text)
    del rest["spec"]["versions"], whole["spec"]["versions"]
    assert rest == whole


def test_a_definition_written_in_another_form_is_kept_whole(tmp_path: Path) -> None:
    definition = yaml.safe_load(with_versions(STORED, {**OLD, "deprecated": True}))
    text = "kind: CustomResourceDefinition\nmetadata:\n  name: as.ray.io\nspec: " + str(
        yaml.safe_dump(definition["spec"], default_flow_style=True, width=10_000)
    )
    (found,) = definitions(chart(tmp_path, {"part/crds/a.yaml": text})).values()
    assert versions(found) == ["v1", "v1alpha1"]
