"""`atoll bundle`: what each verb does, what it says, and how it ends."""

import hashlib
import json
from pathlib import Path

import pytest
import yaml

from atoll.hosts.bundle import Bundle, needed_images
from atoll.hosts.profiles import built_in_profiles
from atoll.hosts.recipes import KIND_NODE

from .conftest import Run

HELM = """#!/bin/sh
[ "$1" != version ] || { echo v4.3.1; exit; }
while [ $# -gt 0 ]; do
  case $1 in
    --version) version=$2; shift;; --destination) to=$2; shift;; --repo) shift;; pull) ;;
    *) name=$1;;
  esac; shift
done
[ ! -e "$STAGE/no-network" ] || { echo "Error: no such host" >&2; exit 1; }
printf '%s %s' "$name" "$version" > "$to/$name-$version.tgz"
"""
SKOPEO = """#!/bin/sh
target=${3#docker-archive:}; printf '%s' "$2" > "${target%%:*}"
"""
CTR = """#!/bin/sh
echo "$*" >> "$STAGE/loaded"
"""


@pytest.fixture(autouse=True)
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Programs in place of helm, skopeo and ctr; no bundle."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in (("helm", HELM), ("skopeo", SKOPEO), ("ctr", CTR)):
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("STAGE", str(tmp_path))
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ATOLL_BUNDLE", raising=False)
    return tmp_path


@pytest.fixture
def folder(tmp_path: Path, cli: Run) -> str:
    """A bundle that was pulled."""
    made = str(tmp_path / "bundle")
    assert cli("bundle", "pull", "--bundle", made).code == 0
    return made


def alter(folder: str) -> str:
    file = Bundle.read(Path(folder)).images[0].file
    (Path(folder) / file).write_text("evil")
    return file


class TestPull:
    """Charts by helm, images by skopeo; the built-in profiles unless others are named."""

    def test_the_built_in_profiles(self, folder: str) -> None:
        found = Bundle.read(Path(folder))
        assert found.problems(built_in_profiles()) == []
        assert not found.holds(KIND_NODE)

    def test_without_a_folder_into_the_cache(self, cli: Run, stage: Path) -> None:
        assert cli("bundle", "pull", "--no-images").code == 0
        assert Bundle.read(stage / "cache" / "bundle").images == ()

    def test_for_kind(self, cli: Run, stage: Path) -> None:
        assert cli("bundle", "pull", "--no-images", "--kind").code == 0
        assert Bundle.read(stage / "cache" / "bundle").holds(KIND_NODE)

    def test_a_profile_of_yours(self, cli: Run, stage: Path) -> None:
        profile = built_in_profiles()[1]
        (stage / "p.yaml").write_text(yaml.safe_dump(profile))
        assert cli("bundle", "pull", "-f", str(stage / "p.yaml")).code == 0
        found = {image.reference for image in Bundle.read(stage / "cache" / "bundle").images}
        assert found == set(needed_images(profile["spec"]))

    def test_no_network(self, cli: Run, stage: Path) -> None:
        (stage / "no-network").touch()
        ended = cli("bundle", "pull")
        assert ended.code == 1
        assert "helm failed: Error: no such host" in ended.err

    def test_a_file_that_holds_no_profile(self, cli: Run, stage: Path) -> None:
        (stage / "t.yaml").write_text("kind: Team\nmetadata: {name: red}\nspec: {}\n")
        ended = cli("bundle", "pull", "-f", str(stage / "t.yaml"))
        assert ended.code == 2
        assert "Team red is not a Profile" in ended.err


class TestVerify:
    """0 for what is whole, 1 for what is not, 2 when there is nothing to look at."""

    def test_whole(self, cli: Run, folder: str) -> None:
        ended = cli("bundle", "verify", "--bundle", folder)
        assert (ended.code, ended.out) == (0, "")
        assert "complete for 3 profiles" in ended.err

    def test_altered(self, cli: Run, folder: str) -> None:
        file = alter(folder)
        ended = cli("bundle", "verify", "--bundle", folder)
        assert ended.code == 1
        assert f"{file} is altered" in ended.err
        assert "next: atoll bundle pull" in ended.err

    def test_lacking(self, cli: Run, stage: Path, folder: str) -> None:
        profile = built_in_profiles()[0]
        profile["spec"]["ray"]["version"] = "2.99.0"
        (stage / "p.yaml").write_text(yaml.safe_dump(profile))
        ended = cli("bundle", "verify", "--bundle", folder, "-f", str(stage / "p.yaml"))
        assert ended.code == 1
        assert "rayproject/ray:2.99.0 is not in the bundle" in ended.err

    def test_no_index(self, cli: Run, stage: Path) -> None:
        ended = cli("bundle", "verify", "--bundle", str(stage))
        assert ended.code == 1
        assert "no index.json" in ended.err


class TestLoad:
    """Nothing goes in that is not what the index says."""

    def test_every_image(self, cli: Run, stage: Path, folder: str) -> None:
        ended = cli("bundle", "load", "--bundle", folder)
        assert ended.code == 0
        imported = (stage / "loaded").read_text().splitlines()
        assert len(imported) == len(Bundle.read(Path(folder)).images)
        assert f"{len(imported)} images loaded into containerd" in ended.err

    def test_an_altered_one(self, cli: Run, stage: Path, folder: str) -> None:
        file = alter(folder)
        ended = cli("bundle", "load", "--bundle", folder)
        assert ended.code == 1
        assert f"{file} is altered" in ended.err
        assert "Nothing was loaded" in ended.err
        assert not (stage / "loaded").exists()

    def test_into_nothing_known(self, cli: Run, folder: str) -> None:
        ended = cli("bundle", "load", "--bundle", folder, "--into", "podman")
        assert ended.code == 2
        assert "none of containerd, docker, kind" in ended.err


def test_list(cli: Run, folder: str) -> None:
    ended = cli("bundle", "list", "--bundle", folder, "-o", "json")
    assert ended.code == 0
    items = json.loads(ended.out)["items"]
    found = Bundle.read(Path(folder))
    assert len(items) == len(found.charts) + len(found.images)
    assert {"name": "vcluster", "kind": "chart", "version": "0.36.1",
            "file": "charts/vcluster-0.36.1.tgz"} in items  # fmt: skip


def test_profiles(cli: Run, folder: str) -> None:
    ended = cli("bundle", "profiles", "--bundle", folder)
    assert ended.code == 0
    made = list(yaml.safe_load_all(ended.out))
    assert [profile["metadata"]["name"] for profile in made] == ["default", "previous", "yunikorn"]
    digest = hashlib.sha256(b"vcluster 0.36.1").hexdigest()
    assert made[0]["spec"]["vcluster"]["chart"]["digest"] == f"sha256:{digest}"


@pytest.mark.parametrize("verb", ["verify", "load", "list", "profiles"])
def test_no_bundle(cli: Run, verb: str) -> None:
    ended = cli("bundle", verb)
    assert (ended.code, ended.out) == (2, "")
    assert "There is no bundle here" in ended.err
