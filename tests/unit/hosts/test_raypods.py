"""What the KubeRay stand-in makes of a RayCluster."""

from typing import Any

from atoll.hosts.sandbox.agent.raypods import groups, head_pod, head_service, pod_group, worker_pod
from atoll.hosts.sandbox.agent.raystatus import cluster_status


def template(cpu: str) -> dict[str, Any]:
    container = {
        "name": "ray",
        "image": "ray",
        "resources": {"limits": {"cpu": cpu, "memory": "1Gi"}},
    }
    return {"template": {"spec": {"containers": [container]}}, "rayStartParams": {"num-cpus": "0"}}


def cluster(**changes: Any) -> dict[str, Any]:
    workers = {"groupName": "w", "replicas": 2, "minReplicas": 1, "maxReplicas": 3, **template("2")}
    return {
        "metadata": {
            "name": "rc", "namespace": "ray", "uid": "u", "generation": 4,
            "labels": {"volcano.sh/queue-name": "team"},
        },
        "spec": {"headGroupSpec": template("1"), "workerGroupSpecs": [workers], **changes},
    }  # fmt: skip


def test_the_pod_group_counts_head_and_workers() -> None:
    group = pod_group(cluster())
    assert group["metadata"]["name"] == "ray-rc-pg"
    assert group["spec"]["minMember"] == 3
    assert group["spec"]["queue"] == "team"
    assert group["spec"]["minResources"] == {"cpu": "5", "memory": str(3 * 2**30)}


def test_pods_of_a_gang_name_their_group() -> None:
    head = head_pod(cluster(), "volcano")
    assert head["spec"]["schedulerName"] == "volcano"
    assert head["metadata"]["annotations"]["scheduling.k8s.io/group-name"] == "ray-rc-pg"
    assert head["metadata"]["annotations"]["volcano.sh/task-spec"] == "headgroup"
    assert "schedulerName" not in head_pod(cluster(), "")["spec"]


def test_only_the_head_knows_redis() -> None:
    options = {"redisAddress": "redis:6379", "redisPassword": {"value": "x"}}
    fault_tolerant = cluster(gcsFaultToleranceOptions=options)
    names = {one["name"] for one in head_pod(fault_tolerant, "")["spec"]["containers"][0]["env"]}
    assert {"RAY_REDIS_ADDRESS", "REDIS_PASSWORD", "RAY_external_storage_namespace"} <= names
    group = fault_tolerant["spec"]["workerGroupSpecs"][0]
    env = worker_pod(fault_tolerant, group, "n", "")["spec"]["containers"][0]["env"]
    assert "REDIS_PASSWORD" not in {one["name"] for one in env}


def test_replicas_stay_within_their_bounds() -> None:
    wanted = cluster()
    wanted["spec"]["workerGroupSpecs"][0]["replicas"] = 9
    assert [count for _, count in groups(wanted)] == [3]
    wanted["spec"]["workerGroupSpecs"][0]["replicas"] = 0
    assert [count for _, count in groups(wanted)] == [1]


def test_the_head_service_has_the_upstream_names() -> None:
    service = head_service(cluster())
    assert service["metadata"]["name"] == "rc-head-svc"
    assert {port["name"]: port["port"] for port in service["spec"]["ports"]}["gcs-server"] == 6379


def ready(name: str) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": "True"}]
    return {"metadata": {"name": name}, "status": {"phase": "Running", "conditions": conditions}}


def test_a_cluster_is_ready_with_all_its_workers_and_stays_provisioned() -> None:
    wanted = cluster()
    partly = cluster_status(wanted, ready("h"), [ready("a")])
    assert "state" not in partly
    wanted["status"] = cluster_status(wanted, ready("h"), [ready("a"), ready("b")])
    assert wanted["status"]["state"] == "ready"
    assert wanted["status"]["observedGeneration"] == 4
    lost = cluster_status(wanted, None, [ready("a")])
    state = {one["type"]: one["status"] for one in lost["conditions"]}
    assert state["HeadPodReady"] == "False"
    assert state["RayClusterProvisioned"] == "True"


def test_an_unchanged_cluster_has_an_unchanged_status() -> None:
    wanted = cluster()
    wanted["status"] = cluster_status(wanted, ready("h"), [ready("a"), ready("b")])
    assert cluster_status(wanted, ready("h"), [ready("a"), ready("b")]) == wanted["status"]
