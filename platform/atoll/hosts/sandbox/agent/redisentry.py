"""Stands in for the redis-server program inside a pod's command.

`python redisentry.py <spec.json> [config file] [--option value ...]`: writes the configuration the
pod asked for, with the sandbox's port and folders, to a private file and becomes the real program.
It imports nothing of Atoll, so that it starts quickly. Options never reach the real program's
argument list, since they may hold a password.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

_OURS = ("bind", "port", "protected-mode", "daemonize", "logfile", "pidfile", "tls-port",
         "unixsocket", "supervised")  # fmt: skip


def options(words: Iterable[str]) -> tuple[str | None, list[str]]:
    """The configuration file named first, if any, and the options as configuration lines."""
    file: str | None = None
    lines: list[str] = []
    for word in words:
        if word.startswith("--"):
            lines.append(word[2:])
        elif lines:
            lines[-1] += " " + (word if word and not set(word) & set(' \t"') else json.dumps(word))
        else:
            file = word
    return file, lines


def render(text: str, lines: Iterable[str], port: int, folder: str) -> str:
    """The configuration with what the sandbox decides: loopback, port, foreground."""
    asked = [*text.splitlines(), *lines]
    kept = [line for line in asked if line.split() and line.split()[0].lower() not in _OURS]
    if not any(line.split()[0].lower() == "dir" for line in kept):
        kept.append(f"dir {folder}")
    return "\n".join([*kept, "bind 127.0.0.1", f"port {port}", "daemonize no", ""])


def main() -> None:
    """Write the configuration and become redis-server (or the sentinel)."""
    spec = json.loads(Path(sys.argv[1]).read_text())
    file, lines = options(sys.argv[2:])
    text = Path(file).read_text() if file else ""
    for mount, folder in spec["folders"].items():
        text = "\n".join(
            f"{line.split(' ', 1)[0]} {line.split(' ', 1)[1].replace(mount, folder, 1)}"
            if " " in line and line.split(" ", 1)[1].strip('" ').startswith(mount)
            else line
            for line in text.splitlines()
        )
    target = Path(spec["config"])
    target.unlink(missing_ok=True)
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as stream:
        stream.write(render(text, lines, spec["port"], spec["data"]))
    os.execv(spec["program"], [spec["program"], str(target)])  # noqa: S606 (no shell wanted)


if __name__ == "__main__":
    main()
