"""The sandbox host: exactly the asked nodes, repaired by a second `up`, nothing left by `down`."""

import json
import os
import signal
import stat
from pathlib import Path

import pytest
import yaml

from atoll.hosts.sandbox import DEFAULT_CHARTS, Sandbox, pack_charts
from atoll.hosts.toolchain import Toolchain

from .conftest import NODES, Host, marked, until

pytestmark = pytest.mark.sandbox


def test_exactly_the_asked_nodes_and_a_private_kubeconfig(host: Host) -> None:
    nodes = host.cluster.get("nodes")["items"]
    labels = sorted(node["metadata"]["labels"]["atoll.dev/node-template"] for node in nodes)
    assert labels == ["4c8g", "4c8g", "8c16g", "8c16g"]
    assert stat.S_IMODE(host.place.kubeconfig.stat().st_mode) == 0o600
    server = yaml.safe_load(host.place.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
    assert server.startswith("https://127.0.0.1:")


def test_another_mapping_adds_and_removes_nodes(host: Host) -> None:
    host.sandbox.up({"4c8g": 1, "8c64g1x": 1})
    assert host.cluster.names("nodes") == {"node-4c8g-1", "node-8c64g1x-1"}
    gpu = host.cluster.get("node", "node-8c64g1x-1")
    assert gpu["status"]["allocatable"]["nvidia.com/gpu"] == "1"
    host.sandbox.up(NODES)
    assert len(host.cluster.names("nodes")) == 4


def test_a_bad_template_changes_nothing(host: Host) -> None:
    with pytest.raises(ValueError, match="for example 4c8g"):
        host.sandbox.up({"4c8": 1})
    assert len(host.cluster.names("nodes")) == 4


@pytest.mark.parametrize("name", ["scheduler", "apiserver", "etcd", "agent", "kwok"])
def test_up_repairs_what_was_killed(host: Host, name: str) -> None:
    before = {state.name: state.pid for state in host.sandbox.status()}
    victim = before[name]
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    until(lambda: not alive(host, name), f"{name} is seen to be dead")
    host.sandbox.up(NODES)
    after = {state.name: state.pid for state in host.sandbox.status()}
    assert after[name] not in (victim, None)
    kept = [other for other in before if other not in (name, "controller-manager", "scheduler")]
    assert all(after[other] == before[other] for other in kept)
    assert len(host.cluster.names("nodes")) == 4
    controllers_work(host, f"after-{name}")


def controllers_work(host: Host, namespace: str) -> None:
    """A new namespace gets its ServiceAccount. Killed while they begin, they would never all begin."""
    host.cluster.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
    account = ("serviceaccount", "default", "-n", namespace)
    until(lambda: host.cluster.get(*account), "the controllers work", 60)
    host.cluster.kubectl("delete", "namespace", namespace, "--wait=false")


def alive(host: Host, name: str) -> bool:
    return any(state.alive for state in host.sandbox.status() if state.name == name)


def test_pods_without_a_program_run_and_jobs_end(host: Host) -> None:
    host.cluster.kubectl("create", "deployment", "web", "--image=nginx", "--replicas=2")
    host.cluster.kubectl("create", "job", "once", "--image=busybox", "--", "true")
    until(lambda: ready_replicas(host) == 2, "two pods run")
    until(lambda: host.cluster.get("job", "once")["status"].get("succeeded") == 1, "the job ends")
    host.cluster.kubectl("delete", "deployment/web", "job/once")
    until(lambda: not host.cluster.names("pods"), "the pods are gone")


def ready_replicas(host: Host) -> int:
    status = host.cluster.get("deployment", "web")["status"]
    return int(status.get("readyReplicas", 0))


def test_claims_are_bound_at_once_and_take_their_volume_with_them(host: Host) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "default"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    host.cluster.apply(claim)
    until(lambda: host.cluster.get("pvc", "data")["status"]["phase"] == "Bound", "bound")
    assert len(host.cluster.names("pv")) == 1
    host.cluster.kubectl("delete", "pvc", "data")
    until(lambda: not host.cluster.names("pv"), "the volume is gone")


def test_charts_are_packed_the_same_every_time(tmp_path: Path) -> None:
    first = pack_charts(DEFAULT_CHARTS, tmp_path / "a")
    second = pack_charts(DEFAULT_CHARTS, tmp_path / "b")
    assert first == second
    index = json.loads((tmp_path / "a" / "index.json").read_text())
    assert index == {"charts": first, "images": []}
    assert {entry["file"] for entry in first} == {
        f"{name}-{version}.tgz" for name, version in DEFAULT_CHARTS
    }


def test_an_unknown_chart_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no stand-in chart"):
        pack_charts([("nginx", "1.0.0")], tmp_path)


def test_two_sandboxes_live_side_by_side_and_down_leaves_nothing(
    host: Host, tools: Toolchain, tmp_path: Path
) -> None:
    root = tmp_path / "second"
    second = Sandbox("second", root)
    second.up({"2c4g": 1})
    assert all(state.alive for state in second.status())
    second.down()
    assert not marked(root)
    assert not root.exists()
    assert second.status() == []
    second.down()
    assert len(host.cluster.names("nodes")) == 4
