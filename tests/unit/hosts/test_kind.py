"""kind as a host: what it is told to make, whether it can be, and that nothing half-made stays."""

import hashlib
import json
import os
import urllib.error
import urllib.request
from email.message import Message
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from atoll.hosts import kind
from atoll.hosts.bundle import Bundle
from atoll.hosts.errors import HostError
from atoll.hosts.kind import Kind, cluster_config, lacking, node_image, registry_answers, unusable
from atoll.hosts.recipes import KIND_NODE, KIND_NODE_DIGEST

DOCKER = """#!/bin/sh
echo "docker $*" >> "$STAGE/calls"
case $1 in
  version) [ ! -e "$STAGE/no-daemon" ] ;;
  image) [ -e "$STAGE/local-image" ] ;;
  load) touch "$STAGE/local-image" ;;
  inspect) echo "172.18.0.2 " ;;
esac
"""
KIND = """#!/bin/sh
[ "$1" = --version ] && { echo "kind version 0.32.0"; exit; }
echo "kind $*" >> "$STAGE/calls"
case $1 in
  get) cat "$STAGE/clusters" 2>/dev/null || true ;;
  create) echo "$4" > "$STAGE/clusters" ;;
  delete) rm -f "$STAGE/clusters" ;;
  load) [ ! -e "$STAGE/full" ] || { echo "no space left on device" >&2; exit 1; } ;;
esac
"""
IP = """#!/bin/sh
echo "ip $*" >> "$STAGE/calls"
[ "$2" != show ] || cat "$STAGE/route" 2>/dev/null || true
"""


class Stage:
    """Programs that note how they were called, in place of Docker, kind and ip."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        for name, text in (("docker", DOCKER), ("kind", KIND), ("ip", IP)):
            (folder / "bin" / name).write_text(text)
            (folder / "bin" / name).chmod(0o755)

    def set(self, name: str, text: str = "") -> None:
        (self.folder / name).write_text(text)

    def calls(self, beginning: str) -> list[str]:
        file = self.folder / "calls"
        told = file.read_text().splitlines() if file.exists() else []
        return [line for line in told if line.startswith(beginning)]

    def bundle(self, *references: str) -> Path:
        folder = self.folder / "bundle"
        (folder / "images").mkdir(parents=True)
        entries = []
        for number, reference in enumerate(references):
            (folder / "images" / f"{number}.tar").write_text(reference)
            digest = hashlib.sha256(reference.encode()).hexdigest()
            entries.append(
                {"reference": reference, "file": f"images/{number}.tar", "sha256": digest}
            )
        (folder / "index.json").write_text(json.dumps({"charts": [], "images": entries}))
        return folder


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setenv("STAGE", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("ATOLL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(kind, "registry_answers", lambda: False)
    return Stage(tmp_path)


def make(stage: Stage, name: str = "lab") -> Kind:
    return Kind(name, stage.folder / "kind", lambda _: None)


class TestConfiguration:
    """One control plane, and a worker that says its template for each node asked for."""

    def test_nodes(self) -> None:
        made = cluster_config({"4c8g": 2, "8c16g": 1}, "10.101.0.0/16", 101, "node:1")
        assert made["apiVersion"] == "kind.x-k8s.io/v1alpha4"
        assert made["nodes"][0] == {"role": "control-plane", "image": "node:1"}
        workers = made["nodes"][1:]
        templates = [node["labels"]["atoll.dev/node-template"] for node in workers]
        assert templates == ["4c8g", "4c8g", "8c16g"]
        assert {(node["role"], node["image"]) for node in workers} == {("worker", "node:1")}

    @pytest.mark.parametrize("name", ["default", "lab", "z" * 32, "ab1"])
    def test_addresses_of_pods_and_services_never_meet(self, name: str, tmp_path: Path) -> None:
        made = Kind(name, tmp_path, lambda _: None)
        networking = cluster_config({}, made.services, made._subnet, "node:1")["networking"]
        services, pods = (ip_network(networking[key]) for key in ("serviceSubnet", "podSubnet"))
        assert services.is_private
        assert pods.is_private
        assert not services.overlaps(pods)


class TestUsable:
    """Each refusal in words."""

    def test_no_docker(self, stage: Stage) -> None:
        stage.set("no-daemon")
        assert unusable(None) == "no Docker daemon answers"

    def test_not_root(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        assert "needs root" in str(unusable(None))

    def test_neither_registry_nor_bundle(self, stage: Stage) -> None:
        assert unusable(None) == "there is neither an image registry nor a bundle"

    def test_a_registry_is_enough(self, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(kind, "registry_answers", lambda: True)
        assert unusable(None) is None

    def test_a_bundle_without_the_image_of_nodes(self, stage: Stage) -> None:
        reason = unusable(stage.bundle("docker.io/library/redis:7"))
        assert reason is not None
        assert KIND_NODE in reason
        assert "atoll bundle pull --kind" in reason

    def test_a_bundle_with_it(self, stage: Stage) -> None:
        assert unusable(stage.bundle(KIND_NODE)) is None

    def test_the_image_may_be_in_docker_already(self, stage: Stage) -> None:
        stage.set("local-image")
        assert lacking(stage.bundle()) is None


@pytest.mark.parametrize(("code", "answers"), [(401, True), (503, False)])
def test_how_a_registry_greets(monkeypatch: pytest.MonkeyPatch, code: int, answers: bool) -> None:
    def refuse(url: str, timeout: float) -> Any:
        raise urllib.error.HTTPError(url, code, "", Message(), None)

    monkeypatch.setattr(urllib.request, "urlopen", refuse)
    assert registry_answers() is answers


class TestUp:
    """Made once, from the bundle when it has the image, and taken away again when that fails."""

    def test_with_a_registry_the_image_is_pinned(self, stage: Stage) -> None:
        assert node_image() == f"{KIND_NODE}@{KIND_NODE_DIGEST}"
        host = make(stage).up({"4c8g": 1}, None)
        written = yaml.safe_load((stage.folder / "kind" / "kind.yaml").read_text())
        assert {n["image"] for n in written["nodes"]} == {f"{KIND_NODE}@{KIND_NODE_DIGEST}"}
        (created,) = stage.calls("kind create")
        assert f"--name atoll-lab --config {stage.folder / 'kind' / 'kind.yaml'}" in created
        assert f"--kubeconfig {host.kubeconfig}" in created
        assert stage.calls("kind load") == stage.calls("docker load") == []

    def test_with_a_bundle_nothing_is_pulled(self, stage: Stage) -> None:
        bundle = Bundle.read(stage.bundle(KIND_NODE, "docker.io/library/redis:7"))
        make(stage).up({"4c8g": 1}, bundle)
        written = yaml.safe_load((stage.folder / "kind" / "kind.yaml").read_text())
        assert {node["image"] for node in written["nodes"]} == {KIND_NODE}
        (loaded,) = stage.calls("docker load")
        assert loaded.endswith("images/0.tar")
        # What nodes are made of has no business in them.
        (inside,) = stage.calls("kind load")
        assert inside.endswith("images/1.tar --name atoll-lab")

    def test_nothing_half_made_stays(self, stage: Stage) -> None:
        stage.set("full")
        bundle = Bundle.read(stage.bundle(KIND_NODE, "docker.io/library/redis:7"))
        with pytest.raises(Exception, match="no space left"):
            make(stage).up({"4c8g": 1}, bundle)
        assert stage.calls("kind delete cluster") == ["kind delete cluster --name atoll-lab"]

    def test_one_that_is_there_is_used(self, stage: Stage) -> None:
        stage.set("clusters", "atoll-other\natoll-lab\n")
        make(stage).up({"4c8g": 1}, None)
        assert stage.calls("kind create") == []
        assert len(stage.calls("kind export kubeconfig --name atoll-lab")) == 1

    def test_the_way_to_services(self, stage: Stage) -> None:
        made = make(stage)
        made.up({}, None)
        assert stage.calls("ip route replace") == [
            f"ip route replace {made.services} via 172.18.0.2"
        ]
        stage.set("route", f"{made.services} via 172.18.0.2 dev br0\n")
        made.up({}, None)
        assert len(stage.calls("ip route replace")) == 1

    def test_without_root_the_command_is_told(
        self, stage: Stage, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(os, "geteuid", lambda: 1000)
        with pytest.raises(HostError, match="run once: sudo ip route replace"):
            make(stage).up({}, None)

    def test_down(self, stage: Stage) -> None:
        made = make(stage)
        made.up({}, None)
        made.down()
        made.down()
        assert len(stage.calls("kind delete")) == 1


def test_the_words_of_a_program_that_fails(stage: Stage) -> None:
    (stage.folder / "bin" / "kind").write_text(
        KIND.replace("get)", 'get) echo "permission denied" >&2; exit 1;;\n  never)')
    )
    with pytest.raises(HostError, match=r"kind get clusters failed: permission denied"):
        make(stage).up({}, None)
