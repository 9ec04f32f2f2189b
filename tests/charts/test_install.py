"""Both charts on a real API server: accepted, and an old writer is really refused."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from atoll.cluster.bootstrap import POLICIES
from atoll.cluster.drift import says
from charts.installed import ACCESS, ELSEWHERE, SYSTEM, Kubectl, config_map, install_tenant


def test_the_platform_is_there_and_tells_what_to_do_next(platform: str, kubectl: Kubectl) -> None:
    for part in ("api", "gateway", "worker", "follower"):
        assert kubectl.get("deployment", f"atoll-{part}", "-n", SYSTEM)["spec"]["replicas"] == 1
        kubectl.get("poddisruptionbudget", f"atoll-{part}", "-n", SYSTEM)
        kubectl.get("networkpolicy", f"atoll-{part}", "-n", SYSTEM)
    kubectl.get("statefulset", "atoll-broker", "-n", SYSTEM)
    kubectl.get("namespace", ACCESS)
    for word in ("port-forward service/atoll-api 8080:8080", "get secret atoll", "works only"):
        assert word in platform


def test_the_server_keeps_the_policies_as_they_are_written(platform: str, kubectl: Kubectl) -> None:
    # `atoll up` writes what differs: it would write at every start otherwise.
    written = [m for file in POLICIES for m in yaml.safe_load_all(file.read_text())]
    assert written
    for manifest in written:
        found = kubectl.get(manifest["kind"], manifest["metadata"]["name"])
        assert says(found, manifest), manifest["kind"]


def test_the_tenant_objects_are_there(tenant: str, kubectl: Kubectl) -> None:
    kinds = "resourcequotas,limitranges,networkpolicies,configmaps,services,statefulsets"
    found = kubectl.get(kinds, "-n", tenant, "-l", "app.kubernetes.io/instance=tenant")["items"]
    names = {(o["kind"], o["metadata"]["name"]) for o in found}
    assert names >= {
        ("ResourceQuota", "tenant"), ("LimitRange", "tenant"), ("Service", "redis"),
        ("StatefulSet", "redis"), ("ConfigMap", "redis"), ("NetworkPolicy", "default-deny"),
    }  # fmt: skip
    assert {o["metadata"]["annotations"]["atoll.dev/fence"] for o in found} == {"5"}


def test_upgrades_go_forward_and_never_back(
    tenant: str, chart_server: Path, kubectl: Kubectl
) -> None:
    install_tenant(chart_server, 6)
    assert (
        kubectl.get("service", "redis", "-n", tenant)["metadata"]["annotations"]["atoll.dev/fence"]
        == "6"
    )
    with pytest.raises(subprocess.CalledProcessError) as stale:
        install_tenant(chart_server, 4)
    assert "fence 4 is older than 6" in stale.value.stderr


@pytest.mark.parametrize(
    ("name", "second", "words"),
    [
        ("higher", "11", ""),
        ("equal", "7", ""),
        ("lower", "6", "fence 6 is older than 7: another worker is the writer now"),
        ("shorter", "10", ""),  # as numbers, not as text
        ("removed", None, "must stay and be a number; it was 7 and is missing now"),
        ("garbage", "x", "must stay and be a number; it was 7 and is now x"),
        ("negative", "-8", "must stay and be a number"),
    ],
)
def test_the_fence(
    tenant: str, kubectl: Kubectl, name: str, second: str | None, words: str
) -> None:
    assert kubectl.apply(config_map(f"fence-{name}", "7")).returncode == 0
    answer = kubectl.apply(config_map(f"fence-{name}", second))
    assert (answer.returncode == 0) == (words == "")
    assert words in answer.stderr
    kept = kubectl.get("configmap", f"fence-{name}", "-n", tenant)["metadata"]["annotations"]
    assert kept["atoll.dev/fence"] == ("7" if words else second)


def test_the_fence_leaves_others_alone(tenant: str, kubectl: Kubectl) -> None:
    # No fence before: free. Another namespace: free. Gone: free.
    assert kubectl.apply(config_map("free", None)).returncode == 0
    assert kubectl.apply(config_map("free", "1")).returncode == 0
    assert kubectl.apply(config_map("free", "9", ELSEWHERE)).returncode == 0
    assert kubectl.apply(config_map("free", "1", ELSEWHERE)).returncode == 0
    assert kubectl("delete", "configmap", "free", "-n", tenant).returncode == 0


def test_controllers_that_keep_the_annotation_pass(tenant: str, kubectl: Kubectl) -> None:
    status = {"status": {"observedGeneration": 1, "replicas": 1, "readyReplicas": 1}}
    change = ("patch", "statefulset", "redis", "-n", tenant, "--type=merge")
    kubectl(*change, "--subresource=status", "-p", json.dumps(status))
    kubectl(*change, "-p", json.dumps({"metadata": {"labels": {"seen": "yes"}}}))
    kubectl("scale", "statefulset", "redis", "-n", tenant, "--replicas=0")
    kubectl("scale", "statefulset", "redis", "-n", tenant, "--replicas=1")
    found = kubectl.get("statefulset", "redis", "-n", tenant)
    assert found["status"]["readyReplicas"] == 1
    assert found["metadata"]["annotations"]["atoll.dev/fence"]


def test_a_stale_writer_cannot_get_in_by_the_status(tenant: str, kubectl: Kubectl) -> None:
    stale = json.dumps(
        {"metadata": {"annotations": {"atoll.dev/fence": "1"}}, "status": {"replicas": 9}}
    )
    patch = (
        "patch",
        "statefulset",
        "redis",
        "-n",
        tenant,
        "--type=merge",
        "--subresource=status",
        "-p",
        stale,
    )
    answer = kubectl(*patch, check=False)
    assert "is older than" in answer.stderr
    assert kubectl.get("statefulset", "redis", "-n", tenant)["status"].get("replicas") != 9


def test_the_namespace_itself_is_fenced(tenant: str, kubectl: Kubectl) -> None:
    def marked(fence: str) -> dict[str, Any]:
        meta = {
            "name": tenant,
            "labels": {"atoll.dev/virtual-cluster": "charts"},
            "annotations": {"atoll.dev/fence": fence},
        }
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}

    assert kubectl.apply(marked("8")).returncode == 0
    assert "fence 7 is older than 8" in kubectl.apply(marked("7")).stderr
    assert kubectl.apply(marked("9")).returncode == 0
