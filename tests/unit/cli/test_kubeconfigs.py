"""Kubeconfigs: merged without losing anything; credentials alone on stdout."""

import json
import stat
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from atoll.cli import kubeconfigs
from atoll.cli.exits import UsageError
from atoll.cli.kubeconfigs import merge
from atoll.errors import ConflictError
from fakes.atoll_api import FakeApi

from .conftest import Run


def config(name: str, server: str = "https://x") -> dict[str, Any]:
    user = {"exec": {"command": "atoll", "args": ["credential", "lab"]}}
    return {
        "apiVersion": "v1", "kind": "Config", "current-context": name,
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "users": [{"name": name, "user": user}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
    }  # fmt: skip


def names(file: Path, part: str) -> list[str]:
    return [entry["name"] for entry in yaml.safe_load(file.read_text())[part]]


def test_merging_keeps_what_is_there(tmp_path: Path) -> None:
    file = tmp_path / "sub" / "config"
    merge(file, config("other"), use=False)
    merge(file, config("atoll-lab", "https://old"), use=False)
    merge(file, config("atoll-lab", "https://new"), use=False)

    found = yaml.safe_load(file.read_text())
    assert names(file, "clusters") == ["other", "atoll-lab"]
    assert found["clusters"][1]["cluster"]["server"] == "https://new"
    assert found["current-context"] == "other"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    merge(file, config("atoll-lab"), use=True)
    assert yaml.safe_load(file.read_text())["current-context"] == "atoll-lab"
    assert [p.name for p in file.parent.iterdir()] == ["config"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    merge(tmp_path / "link", config("a"), use=False)
    assert (tmp_path / "link").is_symlink()
    assert names(tmp_path / "real", "users") == ["a"]


@pytest.mark.parametrize("text", ["{", "[]", "clusters: 7", "just words"])
def test_what_is_no_kubeconfig_is_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(UsageError, match="left as it is"):
        merge(file, config("a"), use=False)
    assert file.read_text() == text


def test_another_writer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kubeconfigs, "_LOCK_SECONDS", 0.0)
    (tmp_path / "config.lock").touch()
    with pytest.raises(ConflictError, match="another program"):
        merge(tmp_path / "config", config("a"), use=False)
    assert not (tmp_path / "config").exists()


def test_get_prints_and_writes(
    api: FakeApi, cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = httpx2.Response(200, text=yaml.safe_dump(config("atoll-lab")))
    api.when("GET", "virtual-clusters/lab/kubeconfig", answer)
    printed = yaml.safe_load(cli("kubeconfig", "get", "lab").out)
    assert printed["current-context"] == "atoll-lab"

    monkeypatch.setenv("KUBECONFIG", f"{tmp_path / 'k'}:{tmp_path / 'other'}")
    ended = cli("kubeconfig", "get", "lab", "--write")
    assert (ended.code, ended.out) == (0, "")
    assert names(tmp_path / "k", "contexts") == ["atoll-lab"]


def test_a_credential_is_all_there_is_on_stdout(api: FakeApi, cli: Run) -> None:
    answer = {"token": "abc", "expiresAt": "2026-01-01T01:00:00Z"}
    api.when("POST", "virtual-clusters/lab/credentials", answer)
    ended = cli("credential", "lab", "--api-url", "http://elsewhere")
    assert json.loads(ended.out) == {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "abc", "expirationTimestamp": "2026-01-01T01:00:00Z"},
    }
    assert ended.err == ""
    assert api.asked[-1].url.host == "elsewhere"
