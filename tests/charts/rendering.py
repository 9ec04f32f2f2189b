"""Charts as the tests see them: rendered by the real helm, one list of objects per chart and mode."""

import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

from atoll.hosts.toolchain import Toolchain

HELM = Path(__file__).parents[2] / "helm"
CHARTS = {"tenant": ("tenant", "vc-lab"), "atoll": ("atoll", "atoll-system")}
"""Chart -> its release and namespace in these tests."""

Object = dict[str, Any]


@dataclass(frozen=True)
class Rendered:
    """What one chart renders for one file of its ci folder."""

    chart: str
    mode: str
    text: str
    objects: tuple[Object, ...]

    def of(self, kind: str) -> list[Object]:
        """All objects of a kind; none is an error, since a check over nothing proves nothing."""
        found = [o for o in self.objects if o["kind"] == kind]
        assert found, f"{self.chart} in mode {self.mode} renders no {kind}"
        return found

    def one(self, kind: str, name: str) -> Object:
        (found,) = [o for o in self.of(kind) if o["metadata"]["name"] == name]
        return found


@lru_cache
def helm_binary() -> str:
    return str(Toolchain().path("helm"))


def helm(*arguments: str | Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [helm_binary(), *map(str, arguments)],
        check=check,
        capture_output=True,
        text=True,
        timeout=120,
    )


def modes(chart: str) -> list[Path]:
    found = sorted((HELM / chart / "ci").glob("*-values.yaml"))
    assert found
    return found


def template(chart: str, values: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`helm template`, as it ends; the caller judges."""
    release, namespace = CHARTS[chart]
    return helm(
        "template", release, HELM / chart, "--namespace", namespace, "--values", values, *arguments,
        check=False,
    )  # fmt: skip


@cache
def render(chart: str, mode: str, *arguments: str) -> Rendered:
    answer = template(chart, HELM / chart / "ci" / f"{mode}-values.yaml", *arguments)
    assert answer.returncode == 0, answer.stderr
    objects = tuple(o for o in yaml.safe_load_all(answer.stdout) if o)
    return Rendered(chart, mode, answer.stdout, objects)


ALL = [(chart, path.name.removesuffix("-values.yaml")) for chart in CHARTS for path in modes(chart)]


def pod_templates(rendered: Rendered) -> Iterator[tuple[str, Object]]:
    """Name and pod template of everything that runs pods."""
    found = [o for o in rendered.objects if "template" in (o.get("spec") or {})]
    assert found, "nothing runs pods"
    for owner in found:
        yield f"{owner['kind']} {owner['metadata']['name']}", owner["spec"]["template"]


def containers(template: Mapping[str, Any]) -> list[Object]:
    spec = template["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]
