"""Finds the programs a host needs: on PATH, in the cache, as a release download, built with Go."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from atoll.hosts.errors import ToolchainError
from atoll.hosts.gobuild import build
from atoll.hosts.recipes import RECIPES, Recipe, Version

Report = Callable[[str, str, float], None]
_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)")
_CONNECT_SECONDS = 4


def _silent(name: str, phase: str, seconds: float) -> None:
    """Report nothing."""


def cache_folder() -> Path:
    """`$ATOLL_CACHE`, or ~/.cache/atoll."""
    return Path(os.environ.get("ATOLL_CACHE") or Path.home() / ".cache" / "atoll")


class Toolchain:
    """Programs by name; each is looked for once per process.

    `report(name, phase, seconds)` hears the phases path, cache, download, build and ready.
    """

    _unreachable = False

    def __init__(self, report: Report = _silent, cache: Path | None = None) -> None:
        self._report = report
        self._cache = cache or cache_folder()
        self._bin = self._cache / "bin"
        self._found: dict[str, Path] = {}

    def path(self, name: str) -> Path:
        """The program's file, got by whatever way works; ToolchainError when none does."""
        if name not in self._found:
            started = time.monotonic()
            found = self._redis() if name == "redis-server" else self._find(RECIPES[name])
            self._found[name] = found
            self._report(name, "ready", time.monotonic() - started)
        return self._found[name]

    def _find(self, recipe: Recipe) -> Path:
        on_path = shutil.which(recipe.name)
        if on_path is not None and self._acceptable(recipe, Path(on_path)):
            return Path(on_path)
        target = self._bin / recipe.name
        if self._cached(recipe, target):
            return target
        self._bin.mkdir(parents=True, exist_ok=True)
        with self._lock():
            if not self._cached(recipe, target):
                self._obtain(recipe, target)
        return target

    def _acceptable(self, recipe: Recipe, program: Path) -> bool:
        version = version_of(recipe, program)
        return version is not None and recipe.accepts(version)

    def _cached(self, recipe: Recipe, target: Path) -> bool:
        if not os.access(target, os.X_OK):
            return False
        stamp = target.with_name(f".{recipe.name}.{int(target.stat().st_mtime)}")
        if stamp.exists():
            return recipe.accepts(_parsed(stamp.read_text()) or (0, 0, 0))
        version = version_of(recipe, target)
        if version is not None:
            stamp.write_text(".".join(map(str, version)))
        return version is not None and recipe.accepts(version)

    def _obtain(self, recipe: Recipe, target: Path) -> None:
        started = time.monotonic()
        self._report(recipe.name, "download", 0)
        if self._download(recipe, target):
            self._report(recipe.name, "download", time.monotonic() - started)
            return
        self._report(recipe.name, "build", 0)
        build(recipe, self._cache, target)
        self._report(recipe.name, "build", time.monotonic() - started)
        if not self._acceptable(recipe, target):
            target.unlink()
            raise ToolchainError(
                f"{recipe.name} was built but does not say a version this accepts; "
                f"remove {self._cache / 'build' / recipe.name} and run this again."
            )

    def _download(self, recipe: Recipe, target: Path) -> bool:
        if Toolchain._unreachable:
            return False
        try:
            content = _fetch(recipe.url)
            sums = _fetch(recipe.sums).decode()
        except (urllib.error.URLError, OSError):
            # Release servers are blocked as a rule, not one by one: do not try the others.
            Toolchain._unreachable = True
            return False
        digest = hashlib.sha256(content).hexdigest()
        if digest not in sums:
            raise ToolchainError(
                f"the download of {recipe.url} has SHA-256 {digest}, which its publisher does not "
                "list. Do not use it; try again later or put the program on PATH."
            )
        _install(recipe, content, target)
        return True

    @contextmanager
    def _lock(self) -> Iterator[None]:
        with (self._cache / "toolchain.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield

    def _redis(self) -> Path:
        found = shutil.which("redis-server", path=f"{os.environ.get('PATH', '')}:/usr/bin")
        if found is None:
            self._report("redis-server", "package", 0)
            _debian("redis-server")
            found = shutil.which("redis-server", path="/usr/bin")
        if found is None:
            raise ToolchainError(
                "redis-server is not installed and could not be installed from the Debian package "
                "of that name. Install Redis 7 or newer so that redis-server is on PATH."
            )
        return Path(found)


def version_of(recipe: Recipe, program: Path) -> Version | None:
    """The version a program says it has, None when it does not answer."""
    try:
        done = subprocess.run(
            [str(program), *recipe.ask], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return _parsed(done.stdout + done.stderr)


def _parsed(text: str) -> Version | None:
    match = _VERSION.search(text)
    return (int(match[1]), int(match[2]), int(match[3])) if match else None


def _fetch(url: str) -> bytes:
    # The timeout bounds each wait, so an unreachable server fails at once.
    with urllib.request.urlopen(url, timeout=_CONNECT_SECONDS) as answer:  # noqa: S310 (https only)
        return bytes(answer.read())


def _install(recipe: Recipe, content: bytes, target: Path) -> None:
    if recipe.member:
        with tarfile.open(fileobj=BytesIO(content)) as archive:
            inside = archive.extractfile(recipe.member)
            if inside is None:
                raise ToolchainError(f"{recipe.url} has no file {recipe.member}")
            content = inside.read()
    fresh = target.with_name(target.name + ".new")
    fresh.write_bytes(content)
    fresh.chmod(0o755)
    fresh.replace(target)


def _debian(package: str) -> None:
    """Install a Debian package when this is root on Debian; nothing happens otherwise."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", package]
    for command in (install, ["apt-get", "update", "-qq"], install):
        done = subprocess.run(command, env=env, capture_output=True, check=False)
        if done.returncode == 0 and command is install:
            return


def main() -> int:
    """`python -m atoll.hosts.toolchain`: have every program ready, so that no test waits for a build."""

    def say(name: str, phase: str, seconds: float) -> None:
        if phase in ("download", "build", "ready"):
            sys.stderr.write(f"toolchain: {name:<24} {phase:<9} {seconds:6.1f} s\n")

    tools = Toolchain(say)
    try:
        for recipe in RECIPES.values():
            if not recipe.optional:
                tools.path(recipe.name)
    except ToolchainError as error:
        sys.stderr.write(f"toolchain: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
