"""Node templates of the sandbox."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.hosts.sandbox.nodes import NodeTemplate, desired_nodes, node_manifest


@pytest.mark.parametrize(
    ("text", "cpus", "memory", "gpus"), [("4c8g", 4, 8, 0), ("8c64g1x", 8, 64, 1)]
)
def test_reads_the_documented_forms(text: str, cpus: int, memory: int, gpus: int) -> None:
    assert NodeTemplate.parse(text) == NodeTemplate(text, cpus, memory, gpus)


@given(st.integers(1, 9999), st.integers(1, 99999), st.integers(0, 99))
def test_capacity_says_what_the_name_says(cpus: int, memory: int, gpus: int) -> None:
    text = f"{cpus}c{memory}g" + (f"{gpus}x" if gpus else "")
    capacity = NodeTemplate.parse(text).capacity()
    assert (capacity["cpu"], capacity["memory"]) == (str(cpus), f"{memory}Gi")
    assert capacity.get("nvidia.com/gpu", "0") == str(gpus)


@pytest.mark.parametrize(
    "text", ["", "4c", "c8g", "0c8g", "4c0g", "4c8g0x", "4C8G", "4c8g1x2", " 4c8g"]
)
def test_a_bad_template_is_refused_with_the_expected_form(text: str) -> None:
    with pytest.raises(ValueError, match="for example 4c8g"):
        NodeTemplate.parse(text)


def test_counts_become_names() -> None:
    nodes = desired_nodes({"4c8g": 2, "8c64g1x": 1, "2c4g": 0})
    assert sorted(nodes) == ["node-4c8g-1", "node-4c8g-2", "node-8c64g1x-1"]


def test_a_negative_count_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        desired_nodes({"4c8g": -1})


def test_nodes_carry_their_template_as_a_label() -> None:
    labels = node_manifest("n", NodeTemplate.parse("4c8g"))["metadata"]["labels"]
    assert labels["atoll.dev/node-template"] == "4c8g"
    assert labels["kubernetes.io/hostname"] == "n"
