"""Names and manifests that a virtual cluster's objects have on the host."""

import hashlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from atoll.hosts.sandbox.agent.names import host_name, label_key
from atoll.hosts.sandbox.agent.tenantconfig import emulated
from atoll.hosts.sandbox.agent.translate import Tenancy, host_pod, host_service

NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,38}[a-z0-9])?", fullmatch=True)


@given(NAMES, NAMES, NAMES)
def test_host_names_fit_and_are_told_apart(name: str, namespace: str, tenant: str) -> None:
    found = host_name(name, namespace, tenant)
    assert len(found) <= 63
    assert found != host_name(name + "z", namespace, tenant)
    full = f"{name}-x-{namespace}-x-{tenant}"
    if len(full) <= 63:
        assert found == full
    else:
        assert found.endswith("-" + hashlib.sha256(full.encode()).hexdigest()[:10])
        assert found.startswith(full[:50])


def pod(**spec: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": "p",
            "namespace": "ray",
            "uid": "u",
            "labels": {"app": "x", "release": "r"},
        },
        "spec": {"containers": [{"name": "c", "image": "i", **spec.pop("container", {})}], **spec},
    }


def test_labels_pass_but_for_those_vcluster_keeps_for_itself() -> None:
    labels = host_pod(pod(), Tenancy("vc", "host"))["metadata"]["labels"]
    assert labels["app"] == "x"
    assert labels[label_key("release", "vc")] == "r"
    assert "release" not in labels
    assert labels["vcluster.loft.sh/managed-by"] == "vc"
    assert labels["vcluster.loft.sh/namespace"] == "ray"


def test_references_are_renamed_and_the_original_stays() -> None:
    source = {"secretKeyRef": {"name": "redis", "key": "password"}}
    virtual = pod(
        container={"env": [{"name": "P", "valueFrom": source}]},
        volumes=[
            {"name": "kube-api-access-1", "projected": {"sources": []}},
            {"name": "d", "persistentVolumeClaim": {"claimName": "data"}},
        ],
    )
    spec = host_pod(virtual, Tenancy("vc", "host"))["spec"]
    renamed = spec["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]["name"]
    assert renamed == "redis-x-ray-x-vc"
    assert [volume["name"] for volume in spec["volumes"]] == ["d"]
    assert spec["volumes"][0]["persistentVolumeClaim"]["claimName"] == "data-x-ray-x-vc"
    assert source["secretKeyRef"]["name"] == "redis"


def test_a_shared_pod_is_not_bound_and_pinned_to_the_selected_nodes() -> None:
    tenancy = Tenancy("vc", "host", node_labels={"pool": "a"})
    spec = host_pod(pod(nodeName="n", priorityClassName="high", priority=9), tenancy)["spec"]
    assert "nodeName" not in spec
    assert "priorityClassName" not in spec
    assert "priority" not in spec
    assert spec["nodeSelector"] == {"pool": "a"}


def test_a_dedicated_pod_keeps_its_node_and_loses_what_decided_it() -> None:
    tenancy = Tenancy("vc", "host", own_scheduler=True)
    spec = host_pod(pod(nodeName="n", nodeSelector={"a": "b"}, affinity={}), tenancy)["spec"]
    assert spec["nodeName"] == "n"
    assert "nodeSelector" not in spec
    assert "affinity" not in spec


def test_a_service_selects_the_copied_pods_only() -> None:
    service = {
        "metadata": {"name": "s", "namespace": "ray", "uid": "u"},
        "spec": {"clusterIP": "10.0.0.1", "selector": {"app": "x"}, "ports": [{"port": 1}]},
    }
    copied = host_service(service, Tenancy("vc", "host"))
    assert copied["metadata"]["name"] == "s-x-ray-x-vc"
    assert copied["spec"]["selector"]["vcluster.loft.sh/managed-by"] == "vc"
    assert "clusterIP" not in copied["spec"]


def test_only_what_kubernetes_can_emulate_is_emulated() -> None:
    assert emulated("1.36.0", "1.36.3")[0] is None
    assert emulated("1.34.2", "1.36.3")[0] == "1.34"
    old, note = emulated("1.30.2", "1.36.3")
    assert old is None
    assert "cannot emulate" in note
    assert "v1.36.3" in note


def test_a_pod_without_a_priority_class_gets_the_default_one_and_keeps_its_preemption_policy() -> (
    None
):
    tenancy = Tenancy("team", "vc-team", keep_priority=True, default_priority="atoll-gang")
    plain = pod()
    plain["spec"] |= {"priority": 0, "preemptionPolicy": "PreemptLowerPriority"}
    spec = host_pod(plain, tenancy)["spec"]
    assert spec["priorityClassName"] == "atoll-gang"
    assert "priority" not in spec
    assert spec["preemptionPolicy"] == "PreemptLowerPriority"
    plain["spec"]["priorityClassName"] = "atoll-plain"
    assert host_pod(plain, tenancy)["spec"]["priorityClassName"] == "atoll-plain"
