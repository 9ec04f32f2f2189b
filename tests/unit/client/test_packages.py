"""Working directories: the same files give the same package, and only what is meant goes in."""

import io
import os
import zipfile
from pathlib import Path

import httpx2
import pytest

from atoll.client import packages
from atoll.client.packages import pack, upload
from atoll.client.transport import Transport
from atoll.errors import InvalidError
from fakes.atoll_api import FakeApi


def folder(root: Path) -> Path:
    (root / "pkg").mkdir(parents=True)
    (root / "main.py").write_text("print(1)")
    (root / "pkg" / "a.py").write_text("a = 1")
    (root / "run.sh").write_text("#!/bin/sh")
    (root / "run.sh").chmod(0o700)
    return root


def names(content: bytes) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(content)).namelist()


def test_same_files_same_package(tmp_path: Path) -> None:
    one, two = folder(tmp_path / "one"), folder(tmp_path / "two")
    os.utime(two / "main.py", (1, 1))
    (two / "main.py").chmod(0o600)

    assert pack(one) == pack(two)
    assert pack(one).uri.startswith("gcs://_ray_pkg_")
    assert pack(one).uri.endswith(".zip")


def test_another_byte_another_name(tmp_path: Path) -> None:
    here = folder(tmp_path / "one")
    before = pack(here).name
    (here / "main.py").write_text("print(2)")
    assert pack(here).name != before


def test_contents_paths_and_modes(tmp_path: Path) -> None:
    archive = zipfile.ZipFile(io.BytesIO(pack(folder(tmp_path / "x")).content))
    assert archive.namelist() == ["main.py", "pkg/a.py", "run.sh"]
    modes = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in archive.infolist()}
    assert modes == {"main.py": 0o644, "pkg/a.py": 0o644, "run.sh": 0o755}


def test_clutter_and_excluded_files_stay_out(tmp_path: Path) -> None:
    here = folder(tmp_path / "x")
    for clutter in (
        ".git/config",
        "__pycache__/m.pyc",
        ".venv/bin/python",
        "pkg/b.pyc",
        "data/big",
    ):
        (here / clutter).parent.mkdir(parents=True, exist_ok=True)
        (here / clutter).write_text("x")
    assert names(pack(here, ["data"]).content) == ["main.py", "pkg/a.py", "run.sh"]


def test_relative_patterns(tmp_path: Path) -> None:
    assert names(pack(folder(tmp_path / "x"), ["pkg/*.py"]).content) == ["main.py", "run.sh"]


def test_a_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    here = folder(tmp_path / "x")
    (here / "loop").symlink_to(here)
    assert "loop/main.py" not in names(pack(here).content)


def test_no_folder_and_nothing_in_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidError, match="is not a folder"):
        pack(tmp_path / "none")
    with pytest.raises(InvalidError, match="no files"):
        pack(tmp_path)


def test_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages, "LARGEST", 8)
    with pytest.raises(InvalidError, match="--exclude"):
        pack(folder(tmp_path / "x"))


def test_upload_once(tmp_path: Path) -> None:
    api, package = FakeApi(), pack(folder(tmp_path / "x"))
    path = f"virtual-clusters/v/ray-clusters/r/proxy/api/packages/gcs/{package.name}"
    api.when("PUT", path, httpx2.Response(200))
    transport = Transport("http://atoll", transport=api.transport)

    assert upload(transport, "virtual-clusters/v/ray-clusters/r/proxy", package) is True
    assert [r.content for r in api.asked if r.method == "PUT"] == [package.content]

    api.when("GET", path, httpx2.Response(200))
    api.asked.clear()
    assert upload(transport, "virtual-clusters/v/ray-clusters/r/proxy", package) is False
    assert [r.method for r in api.asked] == ["GET"]
