"""A Python environment per Ray version, made when a pod first asks for it."""

from __future__ import annotations

import asyncio
import fcntl
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from atoll.hosts.errors import SandboxError
from atoll.hosts.toolchain import cache_folder

_locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)


def ready(version: str) -> Path | None:
    """The environment's Python, when the environment is complete."""
    folder = cache_folder() / "ray" / version
    return folder / "bin" / "python" if (folder / ".done").exists() else None


async def python_of(version: str) -> Path:
    """The Python of an environment with this Ray; makes it, which takes minutes the first time."""
    async with _locks[version]:
        python = ready(version)
        if python is None:
            python = await asyncio.to_thread(_make, version)
        return python


def _make(version: str) -> Path:
    folder = cache_folder() / "ray" / version
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{version}.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        done = ready(version)
        if done is not None:
            return done
        shutil.rmtree(folder, ignore_errors=True)
        python = folder / "bin" / "python"
        wanted = [f"ray[default]=={version}", "redis"]
        uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
        if uv is not None:
            _run([uv, "venv", "-q", "--python", sys.executable, str(folder)], version)
            _run([uv, "pip", "install", "-q", "--python", str(python), *wanted], version)
        else:
            _run([sys.executable, "-m", "venv", str(folder)], version)
            _run([str(python), "-m", "pip", "install", "-q", *wanted], version)
        (folder / ".done").touch()
        return python


def _run(argv: list[str], version: str) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SandboxError(
            f"Ray {version} could not be installed: {done.stderr.strip()[-400:]}. "
            "Is there such a version for this Python, and is the package index reachable?"
        )
