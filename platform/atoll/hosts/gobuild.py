"""Builds a program of the toolchain from its Go module."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from atoll.hosts.errors import ToolchainError
from atoll.hosts.golang import go_program
from atoll.hosts.recipes import Recipe

_STAGED = re.compile(r"^\s*(?:replace\s+)?(k8s\.io/[a-z0-9-]+) => \./staging", re.MULTILINE)


def build(recipe: Recipe, cache: Path, target: Path) -> None:
    """Build `recipe` into the file `target`, in a folder of `cache`; minutes for Kubernetes.

    Raises ToolchainError when Go is missing and cannot be installed, or the build fails.
    """
    try:
        go = go_program(cache)
    except ToolchainError as error:
        raise ToolchainError(
            f"{recipe.name} {recipe.version} is neither on PATH nor downloadable here, and it "
            f"cannot be built: {error}\nInstall Go (https://go.dev/dl) or put {recipe.name} on PATH, "
            "then run this again."
        ) from error
    folder = cache / "build" / recipe.name
    folder.mkdir(parents=True, exist_ok=True)
    _write_module(go, recipe, folder)
    # Kubernetes needs `tidy`, because its libraries are only named by replacements.
    wanted = ["get", f"{recipe.package}@v{recipe.version}"]
    _run(recipe, [go, *(["mod", "tidy"] if recipe.staging else wanted)], folder)
    fresh = target.with_name(target.name + ".new")
    flags = f"-s -w {recipe.ldflags}".strip()
    command = [go, "build", "-trimpath", "-ldflags", flags, "-o", str(fresh), recipe.package]
    _run(recipe, command, folder)
    fresh.replace(target)


def _write_module(go: str, recipe: Recipe, folder: Path) -> None:
    # Without a `go` line Go loads the whole module graph, parts of which no proxy has any more.
    lines = [
        f"module build/{recipe.name}",
        "go 1.24.0",
        f"require {recipe.module} v{recipe.version}",
    ]
    if recipe.staging:
        # Kubernetes' own go.mod points to folders; its libraries are published as v0.<minor>.
        library = "v0." + recipe.version.split(".", 1)[1]
        lines += [f"replace {path} => {path} {library}" for path in _staged(go, recipe, folder)]
    (folder / "go.mod").write_text("\n".join(lines) + "\n")
    (folder / "go.sum").unlink(missing_ok=True)
    source = f'//go:build tools\n\npackage tools\n\nimport _ "{recipe.package}"\n'
    (folder / "tools.go").write_text(source)


def _staged(go: str, recipe: Recipe, folder: Path) -> list[str]:
    (folder / "go.mod").write_text(f"module build/{recipe.name}\n")
    command = [go, "mod", "download", "-json", f"{recipe.module}@v{recipe.version}"]
    found = json.loads(_run(recipe, command, folder))
    return sorted(set(_STAGED.findall(Path(found["GoMod"]).read_text())))


def _run(recipe: Recipe, command: list[str], folder: Path) -> str:
    env = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOWORK": "off"}
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        last = "\n".join(done.stderr.strip().splitlines()[-5:])
        raise ToolchainError(
            f"building {recipe.name} {recipe.version} from {recipe.module} failed in {folder}:\n"
            f"{last}\nCheck that the Go module proxy is reachable (go env GOPROXY), or put "
            f"{recipe.name} on PATH."
        )
    return done.stdout
