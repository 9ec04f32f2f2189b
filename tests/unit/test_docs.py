"""The documentation is held to the code: links, codes, reasons, settings, metrics."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from atoll.resources.crds import RESOURCES, crd
from atoll.settings import Settings
from atoll_worker.reconcile.steps import all_steps

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES = sorted(
    page for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")] if page.is_file()
)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_HOME = re.compile(r"(?<![\w.~$])/(?:root|home|Users|work)/[\w.]")


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _prose(page: Path) -> str:
    return _CODE.sub("", _FENCE.sub("", page.read_text()))


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as repository browsers make them."""
    headings = re.findall(r"^#+ (.+)$", _FENCE.sub("", page.read_text()), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.strip().lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in plain}


def _first_cells(page: str) -> set[str]:
    """What stands in backquotes in the first cell of the tables of a page."""
    rows = re.findall(r"^\| ([^|]*)\|", (REFERENCE / page).read_text(), re.MULTILINE)
    return {word for cell in rows for word in re.findall(r"`([^`]+)`", cell)}


@cache
def _nodes(folder: str) -> tuple[ast.AST, ...]:
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    return tuple(node for file in files for node in ast.walk(ast.parse(file.read_text())))


def _text(node: ast.AST | None) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None


def _codes(node: ast.AST) -> Iterator[str | None]:
    """Codes that a node gives: a keyword, a class attribute, or a problem written out."""
    match node:
        case ast.keyword(arg="code", value=value):
            yield _text(value)
        case ast.Dict(keys=keys, values=values):
            yield from (_text(v) for k, v in zip(keys, values, strict=True) if _text(k) == "code")
        case ast.ClassDef(body=body):
            for inner in body:
                if isinstance(inner, ast.Assign):
                    yield from _assigned(inner)
        case _:
            return


def _assigned(node: ast.Assign) -> Iterator[str | None]:
    names, values = node.targets[0], node.value
    if isinstance(names, ast.Tuple) and isinstance(values, ast.Tuple):
        pairs = list(zip(names.elts, values.elts, strict=True))
    else:
        pairs = [(names, values)] if isinstance(names, ast.Name) else []
    for name, value in pairs:
        if isinstance(name, ast.Name) and name.id == "code":
            yield _text(value)


def _reasons(node: ast.AST) -> Iterator[str | None]:
    """Reasons that a call of an outcome or of a step's error gives."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        return
    if node.func.id in ("Wait", "Failed", "_missing") and node.args:
        yield _text(node.args[0])
    if node.func.id in ("PermanentError", "TemporaryError"):
        yield from (_text(k.value) for k in node.keywords if k.arg == "reason")


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for target in _LINK.findall(_prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        found = file.exists() and (not anchor or anchor in _anchors(file))
        if not found:
            broken.append(target)
    assert not broken


def test_every_page_is_reached_from_the_readme() -> None:
    seen, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        targets = (t.partition("#")[0] for t in _LINK.findall(_prose(page)))
        found = [(page.parent / t).resolve() for t in targets if t.endswith(".md")]
        waiting += [f for f in found if f.is_relative_to(ROOT) and f.exists()]
    assert {_name(p) for p in PAGES} == {_name(p) for p in seen}


def test_problem_codes_are_documented() -> None:
    nodes = (*_nodes("platform"), *_nodes("worker"))
    in_code = {code for node in nodes for code in _codes(node) if code}
    assert _first_cells("problems.md") | {"error"} == in_code


def test_reasons_are_documented() -> None:
    in_code = {reason for node in _nodes("worker") for reason in _reasons(node) if reason}
    documented = _first_cells("conditions.md")
    assert len(in_code) > 30
    assert in_code <= documented


def test_settings_are_documented() -> None:
    in_code = {f"ATOLL_{name.upper()}" for name in Settings.model_fields}
    assert _first_cells("settings.md") == in_code


def test_metrics_are_documented() -> None:
    calls = (n for n in (*_nodes("platform"), *_nodes("worker")) if isinstance(n, ast.Call))
    made = [
        _text(call.args[0])
        for call in calls
        if isinstance(call.func, ast.Name)
        and call.func.id in ("Counter", "Gauge", "Histogram")
        and call.args
    ]
    # collections.Counter is called with something else than a name.
    assert _first_cells("metrics.md") == {name for name in made if name}


def test_steps_are_documented_with_what_they_need() -> None:
    page = (ROOT / "docs" / "architecture" / "overview.md").read_text()
    page = page.partition("### The steps")[2].partition("### Retries")[0]
    rows = re.findall(r"^\| ([a-z-]+) \| ([A-Z]\w+) \| ([^|]*)\|", page, re.MULTILINE)
    told = [(name, condition, set(re.findall(r"\w+", needs))) for name, condition, needs in rows]
    assert told == [(step.name, step.condition, set(step.needs)) for step in all_steps()]


def test_every_resource_is_documented_and_counted_right() -> None:
    page = (REFERENCE / "resources.md").read_text()
    kinds = {crd(resource)["spec"]["names"]["kind"] for resource in RESOURCES}
    assert kinds <= set(re.findall(r"^## (\w+)$", page, re.MULTILINE))
    number = {5: "five", 6: "six", 7: "seven"}[len(kinds)]
    assert f"{number.capitalize()} custom resources" in page
    install = (ROOT / "docs" / "guides" / "install.md").read_text()
    assert f"the {number} kinds of resources" in install


def test_the_readme_has_two_commands() -> None:
    blocks = _FENCE.findall((ROOT / "README.md").read_text())
    commands = [line for block in blocks for line in block.splitlines() if line.startswith("make")]
    assert commands == ["make up", "make test"]


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_no_path_of_one_machine(page: Path) -> None:
    assert _HOME.findall(page.read_text()) == []
