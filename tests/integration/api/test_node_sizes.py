"""Ray clusters and quotas against nodes of a real API server that say how large they are."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from builders.api_process import wanted

MakeTeam = Callable[..., str]
SIZES = {
    "sized-small": {"cpu": "4", "memory": "8Gi"},
    "sized-large": {"cpu": "16", "memory": "32Gi", "nvidia.com/gpu": "2"},
}


@pytest.fixture
def sized_nodes(kube: httpx2.Client) -> Iterator[None]:
    """A node of each template, and no others."""
    others = [
        node
        for node in kube.get("/api/v1/nodes").json()["items"]
        if "atoll.dev/node-template" in node["metadata"].get("labels", {})
    ]
    for node in others:
        kube.delete(f"/api/v1/nodes/{node['metadata']['name']}").raise_for_status()
    for template, size in SIZES.items():
        meta = {"name": template, "labels": {"atoll.dev/node-template": template}}
        body = {"apiVersion": "v1", "kind": "Node", "metadata": meta}
        made = kube.post("/api/v1/nodes", json=body).raise_for_status().json()
        status = {"capacity": size, "allocatable": size}
        path = f"/api/v1/nodes/{template}/status"
        kube.put(path, json={**made, "status": status}).raise_for_status()
    yield
    for template in SIZES:
        kube.delete(f"/api/v1/nodes/{template}")
    for node in others:
        meta = {key: node["metadata"][key] for key in ("name", "labels")}
        kube.post("/api/v1/nodes", json={"apiVersion": "v1", "kind": "Node", "metadata": meta})


def create(api: httpx2.Client, name: str, team: str, **spec: Any) -> httpx2.Response:
    dedicated = {"replicaSets": {"sized-small": 1}, "quota": {"cpu": "9", "memory": "40Gi"}}
    return api.post("/v1/virtual-clusters", json=wanted(name, team, **(dedicated | spec)))


@pytest.mark.usefixtures("sized_nodes")
def test_a_worker_larger_than_any_of_its_nodes_is_refused_with_the_way_out(
    api: httpx2.Client, make_team: MakeTeam
) -> None:
    team = make_team()
    ray = [{"name": "main", "workerCpu": "6"}]
    refused = create(api, "too-wide", team, rayClusters=ray)
    assert refused.status_code == 422, refused.text
    assert refused.json()["errors"] == [
        {
            "pointer": "/spec/rayClusters/0/workerCpu",
            "detail": "each worker asks for 6 of cpu, and the largest node it may run on has 4 "
            "(sized-small, template 'sized-small'); it would wait for ever. Ask for less, or in "
            "spec.replicaSets for nodes of sized-large",
            "limit": "4",
        }
    ]
    larger = create(api, "wide-enough", team, rayClusters=ray, replicaSets={"sized-large": 1})
    assert larger.status_code == 202, larger.text
    path, anyway = "/v1/virtual-clusters/wide-enough", {"If-Match": "*"}
    moved = {"spec": {"replicaSets": {"sized-large": None, "sized-small": 1}}}
    assert api.patch(path, json=moved, headers=anyway).status_code == 422


@pytest.mark.usefixtures("sized_nodes")
def test_in_shared_mode_the_largest_shared_node_decides(
    api: httpx2.Client, kube: httpx2.Client, make_team: MakeTeam
) -> None:
    shared: dict[str, Any] = {"mode": "shared", "replicaSets": {}}
    ray = [{"name": "main", "headMemory": "20Gi"}]
    assert create(api, "shares", make_team(), rayClusters=ray, **shared).status_code == 202
    kube.patch(
        "/api/v1/nodes/sized-large",
        json={"metadata": {"labels": {"atoll.dev/shared": "false"}}},
        headers={"Content-Type": "application/merge-patch+json"},
    ).raise_for_status()
    (problem,) = create(api, "shares-2", make_team(), rayClusters=ray, **shared).json()["errors"]
    assert problem["pointer"] == "/spec/rayClusters/0/headMemory"
    assert "an admin can add a larger node" in problem["detail"]


@pytest.mark.usefixtures("sized_nodes")
def test_devices_that_no_node_has_are_refused_with_those_there_are(
    api: httpx2.Client, make_team: MakeTeam
) -> None:
    team = make_team()
    refused = create(api, "no-such-gpu", team, quota={"cpu": "1", "amd.com/gpu": "1"})
    (problem,) = refused.json()["errors"]
    assert problem["pointer"] == "/spec/quota/amd.com~1gpu"
    assert problem["detail"] == (
        "no node of the host has 'amd.com/gpu'; extended resources there: nvidia.com/gpu. Use one of "
        "those, or leave it out"
    )
    assert create(api, "gpu", team, quota={"cpu": "1", "nvidia.com/gpu": "1"}).status_code == 202
    kept = create(api, "no-gpu", team, quota={"cpu": "1", "amd.com/gpu": "0", "count/pods": "5"})
    assert kept.status_code == 202, kept.text
    gpus = create(api, "gpus", team, rayClusters=[{"name": "main", "workerGpus": 1}])
    (problem,) = gpus.json()["errors"]
    assert problem["pointer"] == "/spec/rayClusters/0/workerGpus"
    assert "for nodes of sized-large" in problem["detail"]
