"""Port files: a process that listens on a port of the system's choice tells where."""

import json
import os

from atoll.settings import Settings


def write_port_file(
    settings: Settings, process: str, port: int, tls_port: int | None = None
) -> None:
    """Write `<runtime_dir>/<process>.json` {"url", "pid"} in one piece; nothing without a runtime_dir.

    A process that has a TLS listener too adds "tls_url".
    """
    if settings.runtime_dir is None:
        return
    settings.runtime_dir.mkdir(parents=True, exist_ok=True)
    target = settings.runtime_dir / f"{process}.json"
    incoming = target.with_suffix(f".{os.getpid()}")
    found: dict[str, str | int] = {"url": f"http://{settings.listen_host}:{port}"}
    if tls_port is not None:
        found["tls_url"] = f"https://{settings.listen_host}:{tls_port}"
    incoming.write_text(json.dumps(found | {"pid": os.getpid()}))
    incoming.replace(target)


def remove_port_file(settings: Settings, process: str) -> None:
    """Take the file away at the end, unless another process has taken its place."""
    path = settings.runtime_dir / f"{process}.json" if settings.runtime_dir else None
    if path is None or not path.exists():
        return
    if json.loads(path.read_text()).get("pid") == os.getpid():
        path.unlink()
