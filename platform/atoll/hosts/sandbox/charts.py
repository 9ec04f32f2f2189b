"""Packs the stand-in charts as files of the form a real bundle has."""

from __future__ import annotations

import gzip
import hashlib
import json
import tarfile
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any

import yaml

SOURCES = Path(__file__).parent / "charts"
DEFAULT_CHARTS = (
    ("vcluster", "0.36.1"),
    ("kuberay-operator", "1.7.0"),
    ("kuberay-operator", "1.6.2"),
    ("volcano", "1.15.1"),
)


def pack_charts(versions: Iterable[tuple[str, str]], folder: Path) -> list[dict[str, str]]:
    """Write `<name>-<version>.tgz` and index.json into `folder`; the entries of the index.

    The same version gives the same bytes. Raises ValueError for a chart there is no stand-in of.
    """
    folder.mkdir(parents=True, exist_ok=True)
    entries = [_pack(name, version, folder) for name, version in versions]
    index = {"charts": entries, "images": []}
    (folder / "index.json").write_text(json.dumps(index, indent=1) + "\n")
    return entries


def _pack(name: str, version: str, folder: Path) -> dict[str, str]:
    source = SOURCES / name
    if not source.is_dir():
        known = ", ".join(sorted(entry.name for entry in SOURCES.iterdir()))
        raise ValueError(f"there is no stand-in chart {name!r}; there are {known}")
    meta: dict[str, Any] = yaml.safe_load((source / "Chart.yaml").read_text())
    meta["version"] = version
    meta["appVersion"] = _app_version(name, version)
    content = _archive(name, source, yaml.safe_dump(meta, sort_keys=False).encode())
    file = f"{name}-{version}.tgz"
    (folder / file).write_bytes(content)
    return {
        "name": name,
        "version": version,
        "file": file,
        "sha256": hashlib.sha256(content).hexdigest(),
        "appVersion": meta["appVersion"],
    }


def _app_version(name: str, version: str) -> str:
    return version


def _archive(name: str, source: Path, meta: bytes) -> bytes:
    packed = BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for path in sorted(entry for entry in source.rglob("*") if entry.is_file()):
            relative = path.relative_to(source).as_posix()
            content = meta if relative == "Chart.yaml" else path.read_bytes()
            member = tarfile.TarInfo(f"{name}/{relative}")
            member.size, member.mode, member.mtime = len(content), 0o644, 0
            archive.addfile(member, BytesIO(content))
    return packed.getvalue()
