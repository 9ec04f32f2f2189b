"""Which host `atoll up` takes, why, and what it refuses in which words."""

import json
from pathlib import Path

import pytest

from atoll.cli.exits import UsageError
from atoll.cli.local import host
from atoll.cli.local.place import Place, State


@pytest.fixture
def place() -> Place:
    return Place("lab")


@pytest.fixture(autouse=True)
def no_bundle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ATOLL_BUNDLE", raising=False)
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))  # no Docker


def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "docker"
    program.write_text('#!/bin/sh\n[ "$1" = version ]\n')
    program.chmod(0o755)


def bundle(folder: Path) -> Path:
    folder.mkdir(parents=True)
    (folder / "index.json").write_text(json.dumps({"charts": [], "images": []}))
    return folder


def made(place: Place, state: State) -> None:
    place.root.mkdir(parents=True)
    place.keep(state)


class TestChoose:
    """Asked for, as before, kind, sandbox: in this order."""

    def test_nothing_here_is_the_sandbox(self, place: Place) -> None:
        assert host.choose(None, None, place) == ("sandbox", "no kind: no Docker daemon answers")

    def test_kind_where_it_can_be(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(host, "unusable", lambda _: None)
        assert host.choose(None, None, place) == ("kind", "Docker answers")

    def test_a_kubeconfig_that_was_given(self, place: Place) -> None:
        assert host.choose(None, Path("x"), place) == ("kubeconfig", "asked for")

    def test_the_environment_asks_too(self, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ATOLL_HOST", "kubeconfig")
        assert host.choose(None, None, place) == ("kubeconfig", "asked for")
        assert host.choose("sandbox", None, place) == ("sandbox", "asked for")

    def test_an_unknown_one(self, place: Place) -> None:
        with pytest.raises(
            UsageError, match="host 'minikube' is none of sandbox, kind, kubeconfig"
        ):
            host.choose("minikube", None, place)

    def test_as_before(self, place: Place) -> None:
        made(place, State("sandbox"))
        assert host.choose(None, None, place) == ("sandbox", "as before")

    def test_another_than_before(self, place: Place) -> None:
        made(place, State("sandbox"))
        with pytest.raises(UsageError, match=r"runs on the host sandbox.*atoll down --name lab"):
            host.choose("kind", None, place)

    def test_kind_without_docker(self, place: Place) -> None:
        with pytest.raises(UsageError, match=r"cannot be kind: no Docker.*--host sandbox"):
            host.choose("kind", None, place)

    def test_kind_without_images(
        self, place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        docker(tmp_path, monkeypatch)
        monkeypatch.setattr("atoll.hosts.kind.registry_answers", lambda: False)
        with pytest.raises(UsageError, match="neither an image registry nor a bundle"):
            host.choose("kind", None, place)
        bundle(tmp_path / "cache" / "bundle")
        with pytest.raises(UsageError, match="atoll bundle pull --kind"):
            host.choose("kind", None, place)


class TestBundleFolder:
    """What ATOLL_BUNDLE names, or the one of the cache."""

    def test_none(self) -> None:
        assert host.bundle_folder() is None

    def test_of_the_cache(self, tmp_path: Path) -> None:
        folder = bundle(tmp_path / "cache" / "bundle")
        assert host.bundle_folder() == folder

    def test_the_one_that_is_named_wins(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bundle(tmp_path / "cache" / "bundle")
        monkeypatch.setenv("ATOLL_BUNDLE", str(bundle(tmp_path / "mine")))
        assert host.bundle_folder() == tmp_path / "mine"

    def test_a_named_one_that_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("ATOLL_BUNDLE", "nowhere")
        with pytest.raises(UsageError, match=r"ATOLL_BUNDLE=nowhere has no index\.json"):
            host.bundle_folder()


class TestKubeconfig:
    """The flag, then what was used before, then KUBECONFIG."""

    def test_the_order(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        given, kept, environment = (tmp_path / name for name in ("given", "kept", "environment"))
        for file in (given, kept, environment):
            file.touch()
        monkeypatch.setenv("KUBECONFIG", f"{environment}:/elsewhere")
        before = State("kubeconfig", kubeconfig=str(kept))
        assert host.kubeconfig_file(given, before) == given
        assert host.kubeconfig_file(None, before) == kept
        assert host.kubeconfig_file(None, None) == environment

    def test_none(self) -> None:
        with pytest.raises(UsageError, match="needs --kubeconfig FILE or KUBECONFIG"):
            host.kubeconfig_file(None, None)

    def test_one_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(UsageError, match="missing is not there"):
            host.kubeconfig_file(tmp_path / "missing", None)
