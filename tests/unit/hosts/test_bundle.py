"""Bundles: what is in one, whether it is whole, and which profiles it gives."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from atoll.hosts import bundle_transfer
from atoll.hosts.bundle import Bundle, needed_images
from atoll.hosts.bundle_transfer import Puller, load, run, save_commands
from atoll.hosts.errors import BundleError
from atoll.resources.profiles import ProfileSpec

CHARTS = [
    ("vcluster", "0.36.1"), ("kuberay-operator", "1.10.0"), ("kuberay-operator", "1.9.2"),
    ("volcano", "1.15.1"), ("volcano", "1.15.1-rc.1"),
]  # fmt: skip
IMAGES = [
    "ghcr.io/loft-sh/kubernetes:v1.36.3", "ghcr.io/loft-sh/kubernetes:v1.35.4",
    "docker.io/rayproject/ray:2.60.0", "docker.io/library/redis:7.2",
]  # fmt: skip


def sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def make(folder: Path, charts: list[tuple[str, str]], images: list[str]) -> Path:
    index: dict[str, list[dict[str, str]]] = {"charts": [], "images": []}
    for part in index:
        (folder / part).mkdir(parents=True)
    for name, version in charts:
        file = f"charts/{name}-{version}.tgz"
        (folder / file).write_text(file)
        entry = {"name": name, "version": version, "file": file, "sha256": sha(file)}
        index["charts"].append(entry | {"appVersion": version})
    for number, reference in enumerate(images):
        file = f"images/{number}.tar"
        (folder / file).write_text(file)
        index["images"].append({"reference": reference, "file": file, "sha256": sha(file)})
    (folder / "index.json").write_text(json.dumps(index))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make(tmp_path / "bundle", CHARTS, IMAGES)


class TestProfiles:
    """`default` has the newest of everything, `previous` what came before."""

    def test_newest_and_previous(self, folder: Path) -> None:
        default, previous = (p["spec"] for p in Bundle.read(folder).profiles())
        assert default["kuberay"]["chart"]["version"] == "1.10.0"  # not 1.9.2, as text would say
        assert default["scheduler"]["chart"]["version"] == "1.15.1"
        assert default["kubernetes"]["version"] == "1.36.3"
        assert previous["kuberay"]["chart"]["version"] == "1.9.2"
        assert previous["scheduler"]["chart"]["version"] == "1.15.1-rc.1"
        assert previous["kubernetes"]["version"] == "1.35.4"
        assert previous["ray"]["version"] == default["ray"]["version"] == "2.60.0"
        assert default["redis"]["image"] == "docker.io/library/redis:7.2"

    def test_they_are_profiles_of_ours(self, folder: Path) -> None:
        for manifest in Bundle.read(folder).profiles():
            ProfileSpec.model_validate(manifest["spec"])
            assert manifest["kind"] == "Profile"

    def test_digests_are_those_of_the_archives(self, folder: Path) -> None:
        chart = Bundle.read(folder).profiles()[0]["spec"]["vcluster"]["chart"]
        assert chart["digest"] == f"sha256:{sha('charts/vcluster-0.36.1.tgz')}"

    def test_one_version_of_everything_gives_one_profile(self, tmp_path: Path) -> None:
        one = make(tmp_path / "b", [CHARTS[0], CHARTS[1], CHARTS[3]], [IMAGES[0], IMAGES[2]])
        assert [p["metadata"]["name"] for p in Bundle.read(one).profiles()] == ["default"]

    def test_another_scheduler_has_a_profile_where_its_chart_is(self, tmp_path: Path) -> None:
        charts = [CHARTS[0], CHARTS[1], CHARTS[3], ("yunikorn", "1.9.0")]
        default, other = Bundle.read(make(tmp_path / "b", charts, IMAGES[1:])).profiles()
        assert other["metadata"]["name"] == "yunikorn"
        assert ProfileSpec.model_validate(other["spec"]).scheduler.name == "yunikorn"
        assert other["spec"]["scheduler"]["chart"]["version"] == "1.9.0"
        assert {**other["spec"], "scheduler": 0, "description": 0} == {
            **default["spec"], "scheduler": 0, "description": 0,
        }  # fmt: skip
        ours = set(needed_images(other["spec"])) - set(needed_images(default["spec"]))
        assert ours == {"docker.io/apache/yunikorn:scheduler-1.9.0", "registry.k8s.io/pause:3.10"}

    def test_charts_alone(self, tmp_path: Path) -> None:
        profiles = Bundle.read(make(tmp_path / "b", CHARTS, [])).profiles()
        assert all(ProfileSpec.model_validate(p["spec"]).ray.version for p in profiles)

    def test_a_missing_chart(self, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match="no chart volcano"):
            Bundle.read(make(tmp_path / "b", CHARTS[:3], [])).profiles()


class TestVerify:
    """Every byte is looked at."""

    def test_whole(self, folder: Path) -> None:
        assert Bundle.read(folder).problems() == []

    def test_altered_and_missing(self, folder: Path) -> None:
        (folder / "charts" / "vcluster-0.36.1.tgz").write_text("evil")
        (folder / "images" / "1.tar").unlink()
        altered, missing = Bundle.read(folder).problems()
        assert altered.startswith("charts/vcluster-0.36.1.tgz is altered: SHA-256 ")
        assert missing == "images/1.tar is missing"

    def test_what_a_profile_needs_and_lacks(self, folder: Path) -> None:
        profile = Bundle.read(folder).profiles()[0]
        problems = Bundle.read(folder).problems([profile])
        assert (
            "profile default: image quay.io/kuberay/operator:v1.10.0 is not in the bundle"
            in problems
        )
        present = {f"profile default: image {image} is not in the bundle" for image in IMAGES}
        assert not present & set(problems)

    def test_needed_images_follow_the_versions(self) -> None:
        spec: dict[str, Any] = {
            "kubernetes": {"version": "1.36.3"}, "vcluster": {"chart": {"version": "0.36.1"}},
            "kuberay": {"chart": {"version": "1.7.0"}}, "ray": {"version": "2.60.0"},
            "scheduler": {"chart": {"version": "1.15.1"}},
        }  # fmt: skip
        assert set(needed_images(spec)) == {
            "ghcr.io/loft-sh/vcluster-oss:0.36.1", "ghcr.io/loft-sh/kubernetes:v1.36.3",
            "quay.io/kuberay/operator:v1.7.0", "docker.io/volcanosh/vc-scheduler:v1.15.1",
            "docker.io/volcanosh/vc-controller-manager:v1.15.1", "docker.io/rayproject/ray:2.60.0",
            "docker.io/library/redis:7", "mirror.gcr.io/library/alpine:3.20",
            "docker.io/coredns/coredns:1.14.2",
        }  # fmt: skip


class TestIndex:
    """An index that cannot be right is refused."""

    def test_none(self, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match=r"no index\.json"):
            Bundle.read(tmp_path)

    @pytest.mark.parametrize("text", ["{", "[]", "{}", '{"charts": [{}], "images": []}'])
    def test_not_an_index(self, tmp_path: Path, text: str) -> None:
        (tmp_path / "index.json").write_text(text)
        with pytest.raises(BundleError, match="not an index"):
            Bundle.read(tmp_path)

    @pytest.mark.parametrize("file", ["../../etc/passwd", "/etc/passwd"])
    def test_files_elsewhere(self, tmp_path: Path, file: str) -> None:
        entry = {"reference": "x", "file": file, "sha256": "0"}
        (tmp_path / "index.json").write_text(json.dumps({"charts": [], "images": [entry]}))
        with pytest.raises(BundleError, match="outside"):
            Bundle.read(tmp_path)


HELM = """#!/bin/sh
set -e
while [ $# -gt 0 ]; do
  case $1 in
    --version) version=$2; shift;; --destination) to=$2; shift;; --repo) shift;; pull) ;;
    *) name=$1;;
  esac; shift
done
echo pulled >> "$to/../calls"
[ "$name" != missing ] || { echo "Error: no such chart" >&2; exit 1; }
printf '%s %s' "$name" "$version" > "$to/$name-$version.tgz"
"""
SKOPEO = """#!/bin/sh
target=${3#docker-archive:}; printf '%s' "$2" > "${target%%:*}"
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("helm", HELM), ("skopeo", SKOPEO)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    return folder


def profile(digest: str | None = None) -> dict[str, Any]:
    def chart(name: str, version: str) -> dict[str, Any]:
        return {"repository": "https://charts", "name": name, "version": version, "digest": None}

    return {
        "metadata": {"name": "p"},
        "spec": {
            "kubernetes": {"version": "1.36.3"},
            "vcluster": {"chart": chart("vcluster", "0.36.1") | {"digest": digest}},
            "kuberay": {"chart": chart("kuberay-operator", "1.7.0")},
            "scheduler": {"chart": chart("volcano", "1.15.1")},
            "ray": {"version": "2.60.0"},
        },
    }


class TestPull:
    """Fetched once, checked by digest."""

    def pull(self, folder: Path, programs: Path, wanted: dict[str, Any]) -> Bundle:
        return Puller(folder, str(programs / "helm"), lambda _: None).pull([wanted])

    def test_a_pulled_bundle_is_whole_for_its_profile(self, tmp_path: Path, programs: Path) -> None:
        wanted = profile(f"sha256:{sha('vcluster 0.36.1')}")
        made = self.pull(tmp_path / "b", programs, wanted)
        assert made.problems([wanted]) == []
        assert len(made.charts) == 3
        assert len(made.images) == len(needed_images(wanted["spec"]))

    def test_what_is_there_is_not_fetched_again(self, tmp_path: Path, programs: Path) -> None:
        self.pull(tmp_path / "b", programs, profile())
        (tmp_path / "b" / "charts" / "volcano-1.15.1.tgz").write_text("altered")
        made = self.pull(tmp_path / "b", programs, profile())
        assert (tmp_path / "b" / "calls").read_text().count("pulled") == 4
        assert made.problems() == []

    def test_another_digest_than_pinned(self, tmp_path: Path, programs: Path) -> None:
        with pytest.raises(BundleError, match="the profile says 00"):
            self.pull(tmp_path / "b", programs, profile("sha256:00"))
        assert not (tmp_path / "b" / "charts" / "vcluster-0.36.1.tgz").exists()

    def test_the_words_of_helm(self, tmp_path: Path, programs: Path) -> None:
        wanted = profile()
        wanted["spec"]["kuberay"]["chart"]["name"] = "missing"
        with pytest.raises(
            BundleError, match=r"chart missing 1\.7\.0: helm failed: .*no such chart"
        ):
            self.pull(tmp_path / "b", programs, wanted)


def test_no_way_to_fetch_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BundleError, match="none of skopeo, docker"):
        save_commands("x:1", tmp_path / "x.tar")
    with pytest.raises(BundleError, match="nothing is not on this machine"):
        run(["nothing"], "test")


@pytest.mark.parametrize("into", ["docker", "kind", "containerd"])
def test_what_is_altered_or_missing_is_not_loaded(
    folder: Path, monkeypatch: pytest.MonkeyPatch, into: str
) -> None:
    ran: list[str] = []
    monkeypatch.setattr(bundle_transfer, "run", lambda c, what: ran.append(" ".join(c)))
    (folder / "images" / "2.tar").write_text("evil")
    (folder / "images" / "3.tar").unlink()
    with pytest.raises(
        BundleError, match=r"2\.tar is altered.*3\.tar is missing.*Nothing was loaded"
    ):
        load(Bundle.read(folder), into, lambda _: None)
    assert ran == []


@pytest.mark.parametrize(
    ("into", "command"),
    [
        ("docker", "docker load --quiet -i {path}"),
        ("kind", "kind load image-archive {path} --name lab"),
        ("containerd", "ctr -a /sock -n k8s.io images import {path}"),
    ],
)
def test_load(folder: Path, monkeypatch: pytest.MonkeyPatch, into: str, command: str) -> None:
    ran: list[str] = []
    monkeypatch.setattr(bundle_transfer, "run", lambda c, what: ran.append(" ".join(c)))
    load(Bundle.read(folder), into, lambda _: None, name="lab", address="/sock")
    assert len(ran) == len(IMAGES)
    assert ran[0] == command.format(path=folder / "images" / "0.tar")
