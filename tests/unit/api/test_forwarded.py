"""What the API's document says of forwarded routes is what the gateway takes and gives."""

from typing import Any

import pytest

from atoll.api.app import create_app
from atoll.api.forward import WAYS, Way
from atoll.gateway.app import create_app as create_gateway
from atoll.settings import Settings

API = create_app(Settings()).openapi()["paths"]
GATEWAY = {
    path.replace("{vc}", "{virtual_cluster}"): ways
    for path, ways in create_gateway(Settings()).openapi()["paths"].items()
}
ROOT = "/v1/virtual-clusters/{virtual_cluster}"


def taken(operation: dict[str, Any]) -> dict[tuple[str, str], tuple[bool, dict[str, Any]]]:
    """Name and place -> whether it is required, and its schema without words."""
    found = {}
    for parameter in operation["parameters"]:
        bare = {k: v for k, v in parameter["schema"].items() if k not in ("title", "description")}
        name = {"vc": "virtual_cluster"}.get(parameter["name"], parameter["name"])
        found[name, parameter["in"]] = parameter["required"], bare
    return found


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.method} {way.path}")
def test_a_forwarded_route_is_documented_as_the_gateway_has_it(way: Way) -> None:
    path, method = ROOT + way.path, way.method.lower()
    promised, kept = API[path][method], GATEWAY[path][method]
    assert taken(promised) == taken(kept)
    assert str(way.status) in kept["responses"]
    assert all(parameter["description"] for parameter in promised["parameters"])


def test_every_documented_route_of_the_gateway_is_one_of_them() -> None:
    ours = {(ROOT + way.path, way.method.lower()) for way in WAYS}
    assert ours == {(path, method) for path, ways in GATEWAY.items() for method in ways}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.method} {way.path}")
def test_its_words_are_for_those_who_call_it(way: Way) -> None:
    text = API[ROOT + way.path][way.method.lower()]["description"]
    assert text == way.words
    assert "Error" not in text
    assert "gateway" not in text.lower()


def test_what_is_made_says_where_it_is() -> None:
    for noun in ("ray-clusters", "ray-jobs"):
        made = API[f"{ROOT}/{noun}"]["post"]["responses"]["201"]
        assert "Location" in made["headers"]
    cluster = API[f"{ROOT}/ray-clusters/{{name}}"]
    assert "ETag" in cluster["get"]["responses"]["200"]["headers"]
    assert "412" in cluster["delete"]["responses"]
    assert "Atoll-Incomplete" in API[f"{ROOT}/ray-jobs"]["get"]["responses"]["200"]["headers"]
