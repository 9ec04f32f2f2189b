"""The definitions in the chart are the ones the models make."""

import pytest
import yaml

from atoll.resources.crds import RESOURCES, crd
from atoll.resources.meta import Resource
from charts.rendering import HELM

FOLDER = HELM / "atoll" / "crds"


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda r: r.PLURAL)
def test_the_file_is_up_to_date(resource: type[Resource]) -> None:
    written = yaml.safe_load((FOLDER / f"{resource.PLURAL}.yaml").read_text())
    assert written == crd(resource), f"run: python -m atoll.resources.crds {FOLDER}"


def test_no_definition_is_left_over() -> None:
    assert {p.stem for p in FOLDER.iterdir()} == {r.PLURAL for r in RESOURCES}
