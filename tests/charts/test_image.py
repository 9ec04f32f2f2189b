"""The image's recipe against what relies on it: the chart, the worker, the image of the e2e tests.

No image is built here. What the recipe copies is copied, and what it runs to get helm is run.
"""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from atoll.hosts.recipes import RECIPES
from charts.rendering import pod_templates, render
from charts.test_atoll_chart import PROCESSES, container
from e2e import image

ROOT = Path(__file__).parents[2]
PATH = ("/usr/local/bin", "/usr/bin", "/bin")
"""The PATH of the base image, as far as programs are put there."""


def recipe() -> list[tuple[str, list[str]]]:
    """The instructions, each with its words."""
    text = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return [(words[0], words[1:]) for words in lines]


def words_of(instruction: str) -> list[list[str]]:
    found = [words for name, words in recipe() if name == instruction]
    assert found
    return found


def copied(root: Path) -> None:
    """Copy as the recipe does from the source tree."""
    for source, target in (words for words in words_of("COPY") if not words[0].startswith("--")):
        place = root / target.removeprefix("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, place, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(ROOT / source, place)


def python_path(root: Path) -> str:
    """PYTHONPATH of the recipe, where `root` is its `/`."""
    told = dict(word.split("=", 1) for (word,) in words_of("ENV"))["PYTHONPATH"]
    return os.pathsep.join(f"{root}{folder}" for folder in told.split(":"))


def test_the_user_is_the_one_of_the_chart_and_of_the_e2e_image() -> None:
    ((user,),) = words_of("USER")
    assert user == f"{image.USER}:{image.USER}"
    for _, pod in pod_templates(render("atoll", "production")):
        context = pod["spec"]["securityContext"]
        assert f"{context['runAsUser']}:{context['runAsGroup']}" == user


def test_every_program_of_the_chart_is_there() -> None:
    bases = words_of("FROM")
    assert {base[0].partition(":")[0] for base in bases} == {
        "docker.io/library/python",
        "platform",
    }
    here = [container(render("atoll", "kind"), part)["command"] for part in PROCESSES]
    assert {command[0] for command in here} == {"python", "celery"}
    # pip puts celery's program beside python.
    (installed,) = [words for words in words_of("RUN") if "pip" in words]
    assert installed[-1].endswith("/requirements/runtime.txt")
    assert "--require-hashes" in installed
    assert re.search(r"^celery==", (ROOT / "requirements/runtime.txt").read_text(), re.MULTILINE)


def test_the_python_is_one_that_the_packages_take() -> None:
    version = words_of("FROM")[0][0].partition(":")[2].partition("-")[0]
    assert re.fullmatch(r"3\.\d+", version)
    taken = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    assert version in SpecifierSet(taken)
    assert f"python{version}" in (ROOT / "tools" / "setup").read_text()


def test_what_is_copied_runs_every_process_and_finds_the_tenant_chart(tmp_path: Path) -> None:
    copied(tmp_path)
    modules = []
    for part in PROCESSES:
        command = container(render("atoll", "kind"), part)["command"]
        flag = "-A" if "-A" in command else "-m"
        modules.append(command[command.index(flag) + 1])
    asked = (
        "import importlib, sys\n"
        "from atoll_worker.reconcile.steps.guard_rails import tenant_chart\n"
        "for name in sys.argv[1:]: print(importlib.import_module(name).__file__)\n"
        "print(tenant_chart(None) / 'Chart.yaml')\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", asked, *modules], cwd=tmp_path, capture_output=True, text=True,
        env={"PYTHONPATH": python_path(tmp_path), "HOME": str(tmp_path)}, timeout=120, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stderr
    files = [Path(line) for line in told.stdout.splitlines()]
    assert len(files) == len(PROCESSES) + 1
    assert all(file.is_relative_to(tmp_path) and file.is_file() for file in files), files


def test_the_helm_is_the_toolchains_and_lands_on_the_path(tmp_path: Path) -> None:
    copied(tmp_path)
    (words,) = [words for words in words_of("COPY") if words[0].startswith("--from")]
    _, source, target = words
    cache = dict(word.split("=", 1) for (word,) in words_of("ENV"))["ATOLL_CACHE"]
    assert os.path.split(target) in [(folder, "helm") for folder in PATH]
    assert source == f"{cache}/bin/helm"  # where the toolchain keeps it, as is seen below
    # A helm that was fetched already, so that nothing is fetched here.
    fetched = tmp_path / source.removeprefix("/")
    fetched.parent.mkdir(parents=True)
    fetched.write_text(f"#!/bin/sh\necho v{RECIPES['helm'].version}\n")
    fetched.chmod(0o755)
    text = (ROOT / "Dockerfile").read_text()
    (asked,) = re.findall(r'^RUN python -c "(.*toolchain.*)"$', text, re.MULTILINE)
    told = subprocess.run(
        [sys.executable, "-c", asked], cwd=tmp_path, capture_output=True, text=True,
        env={
            "PYTHONPATH": python_path(tmp_path), "HOME": str(tmp_path), "PATH": str(tmp_path),
            "ATOLL_CACHE": f"{tmp_path}{cache}",
        }, timeout=120, check=False,
    )  # fmt: skip
    assert (told.stdout.strip(), told.stderr) == (str(fetched), "")


@pytest.mark.parametrize("part", PROCESSES)
def test_no_volume_of_the_chart_hides_what_the_recipe_made(part: str) -> None:
    mounts = container(render("atoll", "air-gapped"), part)["volumeMounts"]
    hidden = {Path(mount["mountPath"]) for mount in mounts}
    assert {Path("/tmp"), Path("/run/atoll")} <= hidden
    made = [Path(target) for *_, target in words_of("COPY")]
    assert not [path for path in made if hidden & {path, *path.parents}]
