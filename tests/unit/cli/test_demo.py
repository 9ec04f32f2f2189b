"""The demonstration: sized to the host, its result really compared."""

import ast
import json
import tempfile
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoll.cli.demo import wordcount
from atoll.cli.exits import UsageError
from atoll.cli.local.demo_cluster import _SYSTEM_CPU, _SYSTEM_MEMORY, plan
from atoll.cli.local.demo_job import Count, compare, documents, parse, plain
from atoll.cli.local.nodes import GIB, Node, template_of, usable
from atoll.errors import AtollError


def nodes(
    template: str | None, count: int, cpu: int, gib: int, owner: str | None = None
) -> list[Node]:
    return [Node(f"{template}-{n}", template, owner, Decimal(cpu), gib * GIB) for n in range(count)]


class TestPlan:
    """The fewest nodes of the smallest template."""

    def test_the_sandbox(self) -> None:
        found = plan([*nodes("8c16g", 2, 8, 16), *nodes("4c8g", 2, 4, 8)])
        assert (found.template, found.count, found.size.worker_cpu) == ("4c8g", 1, "1")

    def test_several_small_ones(self) -> None:
        assert plan(nodes("2c4g", 3, 2, 4)).count == 2

    def test_a_small_host_gets_a_small_cluster(self) -> None:
        found = plan(nodes("2c23g", 1, 2, 23))
        assert (found.count, found.size.worker_cpu) == (1, "250m")

    def test_nodes_of_others_and_without_a_template_are_not_taken(self) -> None:
        taken = nodes("8c16g", 4, 8, 16, owner="lab")
        assert plan([*taken, *nodes(None, 3, 8, 16), *nodes("9c9g", 1, 9, 9)]).template == "9c9g"
        with pytest.raises(UsageError, match="none with a template"):
            plan(taken)

    @given(st.lists(st.tuples(st.integers(1, 16), st.integers(1, 64), st.integers(1, 4))))
    def test_what_is_chosen_holds_it(self, sizes: list[tuple[int, int, int]]) -> None:
        there = {f"{cpu}c{gib}g": nodes(f"{cpu}c{gib}g", n, cpu, gib) for cpu, gib, n in sizes}
        try:
            found = plan([node for same in there.values() for node in same])
        except UsageError:
            return
        chosen = there[found.template][: found.count]
        assert len(chosen) == found.count > 0
        assert sum(n.cpu for n in chosen) >= found.size.cpu + _SYSTEM_CPU
        assert sum(n.memory for n in chosen) >= found.size.memory + _SYSTEM_MEMORY


def test_nodes_that_take_pods() -> None:
    def node(name: str, *, ready: str = "True", **spec: object) -> dict[str, object]:
        labels = {"atoll.dev/node-template": "4c8g", "atoll.dev/virtual-cluster": "lab"}
        return {
            "metadata": {"name": name, "labels": labels if name == "a" else {}},
            "spec": spec,
            "status": {
                "allocatable": {"cpu": "3920m", "memory": "8053063680"},
                "conditions": [{"type": "Ready", "status": ready}],
            },
        }

    master = [{"key": "node-role.kubernetes.io/control-plane", "effect": "NoSchedule"}]
    there = [node("a"), node("b"), node("c", ready="False"), node("d", unschedulable=True),
             node("e", taints=master)]  # fmt: skip
    one, two = usable(there, "atoll.dev/node-template")
    assert (one.name, one.template, one.owner) == ("a", "4c8g", "lab")
    assert (two.name, two.template, two.owner) == ("b", None, None)
    assert template_of(two) == "3c7g"


class TestResult:
    """A wrong number anywhere is an error."""

    right = Count(2, 9, 4, [("a", 5), ("b", 2)])

    def log(self, **more: object) -> str:
        body = {"files": 2, "total": 9, "distinct": 4, "top": [["a", 5], ["b", 2]],
                "nodes": ["h", "n1", "n2"], "workers": ["n1", "n2"], **more}  # fmt: skip
        return "2026 INFO ray\n" + json.dumps({"wordcount": body}) + "\nbye\n"

    def test_right(self) -> None:
        found, workers = parse(self.log())
        assert workers == 2
        compare(found, self.right)

    @pytest.mark.parametrize(
        "wrong", [{"files": 1}, {"total": 8}, {"distinct": 5}, {"top": [["a", 5], ["b", 1]]}]
    )
    def test_wrong(self, wrong: dict[str, object]) -> None:
        with pytest.raises(AtollError, match=f"{next(iter(wrong))} is"):
            compare(parse(self.log(**wrong))[0], self.right)

    def test_one_worker_is_not_two(self) -> None:
        with pytest.raises(AtollError, match="1 of 2 Ray workers"):
            parse(self.log(workers=["n1"]))

    def test_no_result(self) -> None:
        with pytest.raises(AtollError, match="no result"):
            parse("Traceback ...")


@given(st.lists(st.text(alphabet="aAbB'1 .\nñ", max_size=60), max_size=5))
def test_both_ways_of_counting_agree(texts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{n}.md" for n in range(len(texts))]
        for file, text in zip(files, texts, strict=True):
            file.write_text(text)
        here = plain(files)
    counted = wordcount.count_words(texts)
    assert (here.total, here.distinct) == (sum(counted.values()), len(counted))
    assert all(counted[word] == times for word, times in here.top)


def test_the_script_imports_nothing_of_ours() -> None:
    tree = ast.parse(Path(wordcount.__file__).read_text())
    imports = {n.module for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)} | {
        a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names
    }
    assert not {name for name in imports if name and name.startswith("atoll")}


def test_there_are_documents_to_count() -> None:
    assert any(path.name == "README.md" for path in documents())
