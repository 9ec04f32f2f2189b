"""Working directories as the packages Ray's job API takes: `gcs://_ray_pkg_<hash>.zip`."""

import hashlib
import io
import os
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from atoll.client.transport import Transport
from atoll.errors import InvalidError, NotFoundError

EXCLUDED = (".git", ".venv", "__pycache__", "node_modules", "*.pyc")
LARGEST = 100 * 1024 * 1024
"""Most bytes a package may have; Ray keeps packages in the memory of the cluster's head."""
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Package:
    """A zipped folder; the same files give the same bytes and so the same name."""

    name: str
    content: bytes

    @property
    def uri(self) -> str:
        """How a runtime environment names it."""
        return f"gcs://{self.name}"


def pack(folder: Path, exclude: Sequence[str] = ()) -> Package:
    """Zip a folder. Names or relative paths that match a pattern of `exclude` stay out.

    Raises InvalidError when the folder is none, is empty or is too large.
    """
    if not folder.is_dir():
        raise InvalidError(f"{folder} is not a folder; --working-dir takes one.")
    packed, size = io.BytesIO(), 0
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in _files(folder, folder, (*EXCLUDED, *exclude)):
            size += path.stat().st_size
            if size > LARGEST:
                raise InvalidError(
                    f"{folder} has more than {LARGEST // 2**20} MiB of files; leave out what the "
                    "job does not need with --exclude PATTERN."
                )
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = (0o100755 if os.access(path, os.X_OK) else 0o100644) << 16
            archive.writestr(entry, path.read_bytes())
    if size == 0:
        raise InvalidError(f"{folder} has no files to send.")
    content = packed.getvalue()
    return Package(f"_ray_pkg_{hashlib.sha256(content).hexdigest()[:32]}.zip", content)


def upload(transport: Transport, proxy: str, package: Package) -> bool:
    """Give a package to a Ray cluster unless it has it; whether it was sent.

    `proxy` is the path under /v1 of the cluster's dashboard.
    """
    path = f"{proxy}/api/packages/gcs/{package.name}"
    try:
        transport.send("GET", path)
        return False
    except NotFoundError:
        transport.send(
            "PUT", path, content=package.content,
            headers={"Content-Type": "application/octet-stream"},
        )  # fmt: skip
        return True


def _files(root: Path, folder: Path, exclude: Sequence[str]) -> Iterator[Path]:
    for entry in sorted(folder.iterdir()):
        relative = entry.relative_to(root).as_posix()
        if any(fnmatch(entry.name, pattern) or fnmatch(relative, pattern) for pattern in exclude):
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from _files(root, entry, exclude)
        elif entry.is_file():
            yield entry
