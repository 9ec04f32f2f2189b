"""The image of the platform, for tests: a Debian with Python, our packages and what they need, helm."""

import os
import shutil
import subprocess
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement

from e2e.stage import HOST_SCRIPT, ROOT, NoStageError, Stage

REFERENCE, TAG = "docker.io/library/atoll", "0.1.0-e2e"
USER = "10001"
_CELERY = "#!/usr/bin/python3\nimport sys\nfrom celery.__main__ import main\n\nsys.exit(main())\n"


def make(stage: Stage, folder: Path) -> None:
    """Build it in `folder` and put it on every node. NoStageError when this host cannot."""
    debian = Path(os.environ.get("HOST_ROOT", Path.home() / ".cache" / "host")) / "debian"
    if not HOST_SCRIPT.is_file() or not (debian / ".done").is_file():
        raise NoStageError(f"an image is made with {HOST_SCRIPT} from the Debian in {debian}")
    root = folder / "root"
    subprocess.run(["cp", "-a", str(debian), str(root)], check=True)
    for unneeded in ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/lib/dpkg"):
        shutil.rmtree(root / unneeded, ignore_errors=True)
    packages = root / "usr" / "local" / "lib" / "python3.11" / "dist-packages"
    python = {"python_full_version": _version(root), "python_version": "3.11"}
    found, lacking = closure("atoll", python)
    for needed in found:
        _copy(needed, packages)
    if lacking:  # what the image's Python needs and the newer one here does not
        subprocess.run(
            ["python3", "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(packages),
             *lacking], check=True, timeout=300,
        )  # fmt: skip
    _copy_ours(root, packages)
    binaries = root / "usr" / "local" / "bin"
    shutil.copy2(stage.helm, binaries / "helm")
    celery = binaries / "celery"
    celery.write_text(_CELERY)
    celery.chmod(0o755)
    subprocess.run(
        [str(HOST_SCRIPT), "image", f"{REFERENCE}:{TAG}", str(root), USER],
        check=True, capture_output=True, timeout=600,
    )  # fmt: skip
    shutil.rmtree(root)


def closure(name: str, python: dict[str, str]) -> tuple[list[Distribution], list[str]]:
    """What a package needs to run on that Python, and what that needs: as installed here, or not."""
    found: dict[str, Distribution] = {}
    lacking: list[str] = []
    todo, seen = [(name, frozenset[str]())], set[tuple[str, frozenset[str]]]()
    while todo:
        here = todo.pop()
        if here in seen:
            continue
        seen.add(here)
        try:
            needed = distribution(here[0])
        except PackageNotFoundError:
            lacking.append(here[0])
            continue
        found[here[0].lower()] = needed
        for wanted in map(Requirement, needed.requires or ()):
            extras = here[1] or {""}
            if not wanted.marker or any(
                wanted.marker.evaluate({**python, "extra": e}) for e in extras
            ):
                todo.append((wanted.name, frozenset(wanted.extras)))
    del found[name]
    return list(found.values()), lacking


def _version(root: Path) -> str:
    """The image's Python, such as 3.11.2."""
    done = subprocess.run(
        ["chroot", str(root), "python3", "-c", "import platform; print(platform.python_version())"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def _copy(needed: Distribution, packages: Path) -> None:
    for file in needed.files or ():
        source = Path(str(needed.locate_file(file)))
        if ".." in file.parts or "__pycache__" in file.parts or not source.is_file():
            continue
        target = packages / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)


def _copy_ours(root: Path, packages: Path) -> None:
    """The source tree with helm/tenant beside it, as docs/reference/charts.md asks for."""
    home = root / "opt" / "atoll"
    for part in ("platform", "worker", "helm"):
        shutil.copytree(ROOT / part, home / part, ignore=shutil.ignore_patterns("__pycache__"))
    (packages / "atoll.pth").write_text("/opt/atoll/platform\n/opt/atoll/worker\n")
