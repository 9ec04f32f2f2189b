"""Redis, gang scheduling and Ray in a dedicated virtual cluster: real processes all the way."""

import json
import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from .conftest import Cluster, Host, marked, until, values

pytestmark = [pytest.mark.sandbox, pytest.mark.timeout(900)]
NAMESPACE = "atoll-ray"
VERSION = "2.60.0"
PASSWORD = "a password"
SLOW = 300.0
ENDPOINT = "sandbox.atoll.dev/endpoint"


def redis_manifests() -> list[dict[str, Any]]:
    meta = {"name": "redis", "namespace": NAMESPACE}
    script = (
        'umask 077; { cat /etc/redis/redis.conf; printf \'requirepass "%s"\\n\' "$PASSWORD"; }'
        " > /run/redis/redis.conf; exec redis-server /run/redis/redis.conf"
    )
    container = {
        "name": "redis",
        "image": "docker.io/library/redis:7",
        "command": ["sh", "-euc", script],
        "env": [
            {
                "name": "PASSWORD",
                "valueFrom": {"secretKeyRef": {"name": "redis", "key": "password"}},
            }
        ],
        "ports": [{"name": "redis", "containerPort": 6379}],
        "volumeMounts": [
            {"name": "data", "mountPath": "/data"},
            {"name": "config", "mountPath": "/etc/redis"},
            {"name": "run", "mountPath": "/run/redis"},
        ],
    }
    volumes = [{"name": "config", "configMap": {"name": "redis"}}, {"name": "run", "emptyDir": {}}]
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    labels = {"app": "redis"}
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"password": PASSWORD}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta,
         "data": {"redis.conf": "bind *\nport 6379\ndir /data\nappendonly yes\n"}},
        {"apiVersion": "v1", "kind": "Service", "metadata": meta,
         "spec": {"selector": labels, "ports": [{"port": 6379, "targetPort": "redis"}]}},
        {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": meta,
         "spec": {
             "serviceName": "redis", "selector": {"matchLabels": labels},
             "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Delete"},
             "volumeClaimTemplates": [claim],
             "template": {"metadata": {"labels": labels},
                          "spec": {"containers": [container], "volumes": volumes}}}},
    ]  # fmt: skip


def group(cpu: str, **more: Any) -> dict[str, Any]:
    limits = {"cpu": cpu, "memory": "1Gi"}
    container = {
        "name": "ray",
        "image": f"rayproject/ray:{VERSION}",
        "resources": {"limits": limits},
    }
    return {"rayStartParams": {}, "template": {"spec": {"containers": [container]}}, **more}


def ray_cluster(name: str, workers: int, cpu: str = "1", **more: Any) -> dict[str, Any]:
    head = group("1") | {"rayStartParams": {"num-cpus": "0"}}
    worker = group(cpu, groupName="w", replicas=workers, minReplicas=0, maxReplicas=9)
    labels = {"volcano.sh/queue-name": "team"}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": name, "namespace": "ray", "labels": labels},
        "spec": {
            "rayVersion": VERSION,
            "headGroupSpec": head,
            "workerGroupSpecs": [worker],
            **more,
        },
    }


@pytest.fixture(scope="module")
def tenant(host: Host) -> Iterator[Cluster]:
    """A dedicated virtual cluster of two 8c16g nodes with Volcano, KubeRay, a queue and Redis."""
    host.cluster.apply(*redis_manifests())
    for node in ("node-8c16g-1", "node-8c16g-2"):
        host.cluster.kubectl("label", "node", node, "atoll.dev/owner=ray", "--overwrite")
    own = {"enabled": True, "selector": {"labels": {"atoll.dev/owner": "ray"}}}
    replicate = {"fromHost": [{"from": f"{NAMESPACE}/redis", "to": "ray/redis"}]}
    inside = host.tenant("ray", NAMESPACE, values(
        k8s={"scheduler": {"enabled": True}}, sync={"fromHost": {"nodes": own}},
        networking={"replicateServices": replicate},
    ))  # fmt: skip
    inside.helm("volcano", "volcano-system", host.chart("volcano", "1.15.1"),
                {"custom": {"admission_enable": False}})  # fmt: skip
    inside.helm("kuberay-operator", "kuberay-system", host.chart("kuberay-operator", "1.7.0"),
                {"batchScheduler": {"name": "volcano"}})  # fmt: skip
    until(lambda: inside.get("namespace", "ray"), "the replicated Service makes its namespace")
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "redis", "namespace": "ray"},
              "stringData": {"password": PASSWORD}}  # fmt: skip
    queue = {
        "apiVersion": "scheduling.volcano.sh/v1beta1", "kind": "Queue", "metadata": {"name": "team"},
        "spec": {"weight": 1, "capability": {"cpu": "10", "memory": "16Gi"}},
    }  # fmt: skip
    inside.apply(secret, queue)
    until(
        lambda: inside.get("queue", "team").get("status", {}).get("state") == "Open", "open queue"
    )
    yield inside
    host.cluster.uninstall("ray", NAMESPACE)
    host.cluster.kubectl("delete", "namespace", NAMESPACE)


@pytest.fixture(scope="module")
def cluster(tenant: Cluster) -> str:
    """A fault-tolerant RayCluster of a head and two workers; its name."""
    password = {"valueFrom": {"secretKeyRef": {"name": "redis", "key": "password"}}}
    options = {"redisAddress": "redis:6379", "redisPassword": password}
    tenant.apply(ray_cluster("rc", 2, gcsFaultToleranceOptions=options))
    until(lambda: status(tenant, "rc").get("state") == "ready", "the RayCluster is ready", SLOW)
    return "rc"


def status(tenant: Cluster, name: str) -> dict[str, Any]:
    found: dict[str, Any] = tenant.get("raycluster", name, "-n", "ray").get("status", {})
    return found


def pods(tenant: Cluster, name: str) -> list[dict[str, Any]]:
    found = tenant.get("pods", "-n", "ray", "-l", f"ray.io/cluster={name}")
    return list(found.get("items", []))


def redis(host: Host) -> Redis:
    service = host.cluster.get("service", "redis", "-n", NAMESPACE)
    address, _, port = service["metadata"]["annotations"][ENDPOINT].partition(":")
    return Redis(host=address, port=int(port), password=PASSWORD)


def call(tenant: Cluster, path: str, body: Any = None) -> Any:
    service = tenant.get("service", "rc-head-svc", "-n", "ray")
    url = f"http://{service['metadata']['annotations'][ENDPOINT]}{path}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return json.loads(answer.read())
    except (urllib.error.URLError, OSError):
        return None


def run_job(tenant: Cluster, name: str, script: str) -> str:
    """Run Python in the Ray cluster through the dashboard's job API; what it printed."""
    body = {"entrypoint": f"python -c {json.dumps(script)}", "submission_id": name}
    until(lambda: call(tenant, "/api/jobs/", body), "the job is taken", SLOW)

    def over() -> Any:
        state = (call(tenant, f"/api/jobs/{name}") or {}).get("status")
        return state if state in ("SUCCEEDED", "FAILED") else None

    state = until(over, "the job ends", SLOW)
    printed = str(call(tenant, f"/api/jobs/{name}/logs")["logs"])
    assert state == "SUCCEEDED", printed
    return printed


def test_redis_is_real_and_keeps_its_data(host: Host, tenant: Cluster) -> None:
    with redis(host) as client:
        client.set("kept", "yes")
    host.cluster.kubectl("delete", "pod", "redis-0", "-n", NAMESPACE)

    def ready() -> bool:
        pod = host.cluster.get("pod", "redis-0", "-n", NAMESPACE)
        return any(one.get("ready") for one in pod.get("status", {}).get("containerStatuses", []))

    until(ready, "Redis is back")

    def kept() -> bool:
        try:
            with redis(host) as client:
                return bool(client.get("kept") == b"yes")
        except OSError:
            return False

    until(kept, "the value is still there")


def test_what_has_no_log_says_why(host: Host, tenant: Cluster) -> None:
    operator = ("deployment/kuberay-operator", "-n", "kuberay-system")
    assert "the others are played" in tenant.refused("logs", *operator)
    assert "leave out --timestamps" in tenant.refused("logs", *operator, "--timestamps")
    assert "except for logs" in tenant.refused("exec", *operator, "--", "true")
    assert "the others are played" in host.cluster.refused("logs", "ray-0", "-n", NAMESPACE)
    printed = host.cluster.kubectl("logs", "redis-0", "-n", NAMESPACE)
    assert "Ready to accept connections" in printed


def test_the_cluster_is_ready_as_kuberay_says_it(tenant: Cluster, cluster: str) -> None:
    found = status(tenant, cluster)
    conditions = {one["type"]: one["status"] for one in found["conditions"]}
    assert conditions["HeadPodReady"] == conditions["RayClusterProvisioned"] == "True"
    assert found["readyWorkerReplicas"] == found["desiredWorkerReplicas"] == 2
    assert found["head"]["serviceName"] == "rc-head-svc"
    podgroup = tenant.get("podgroup", "ray-rc-pg", "-n", "ray")
    assert podgroup["spec"]["minMember"] == 3
    assert podgroup["spec"]["queue"] == "team"
    until(
        lambda: tenant.get("podgroup", "ray-rc-pg", "-n", "ray")["status"]["running"] == 3, "3 run"
    )
    assert {pod["spec"]["nodeName"] for pod in pods(tenant, cluster)} <= {
        "node-8c16g-1", "node-8c16g-2",
    }  # fmt: skip


def test_a_job_runs_through_the_dashboard(tenant: Cluster, cluster: str) -> None:
    script = "import ray; ray.init(); print('sum', ray.cluster_resources()['CPU'] + 40)"
    assert "sum 42.0" in run_job(tenant, "first", script)


def test_kubectl_gives_what_head_and_workers_printed(
    host: Host, tenant: Cluster, cluster: str
) -> None:
    for pod in pods(tenant, cluster):
        printed = tenant.kubectl("logs", name_of(pod), "-n", "ray")
        assert "Ray runtime started." in printed
        assert ("--head" in printed or "dashboard" in printed) == (name_of(pod) == "rc-head")
        copy = f"{name_of(pod)}-x-ray-x-ray"
        assert host.cluster.kubectl("logs", copy, "-n", NAMESPACE) == printed
    last = tenant.kubectl("logs", "rc-head", "-n", "ray", "--tail=2")
    assert last == "".join(tenant.kubectl("logs", "rc-head", "-n", "ray").splitlines(True)[-2:])
    assert "previous terminated" in tenant.refused("logs", "rc-head", "-n", "ray", "--previous")


def test_a_gang_that_is_too_large_waits_whole_while_a_small_one_runs(
    host: Host, tenant: Cluster, cluster: str
) -> None:
    tenant.apply(ray_cluster("big", 4, cpu="2"))

    def why() -> str:
        found = tenant.get("podgroup", "ray-big-pg", "-n", "ray").get("status", {})
        return "".join(one["message"] for one in found.get("conditions", []))

    until(lambda: "5/5 tasks in gang unschedulable" in why(), "the PodGroup says why")
    time.sleep(2)
    waiting = pods(tenant, "big")
    assert len(waiting) == 5
    assert not any(pod["spec"].get("nodeName") for pod in waiting)
    assert not [n for n in host.cluster.names("pods", "-n", NAMESPACE) if n.startswith("big-")]
    assert status(tenant, cluster)["readyWorkerReplicas"] == 2
    tenant.kubectl("delete", "raycluster", "big", "-n", "ray")
    until(lambda: not pods(tenant, "big"), "its pods are gone")


def test_a_killed_head_comes_back_with_its_state(host: Host, tenant: Cluster, cluster: str) -> None:
    make = (
        "import ray; ray.init(namespace='n')\n"
        "class A:\n  def v(self): return 99\n"
        "a = ray.remote(A).options(name='a', lifetime='detached').remote(); print(ray.get(a.v.remote()))"
    )
    assert "99" in run_job(tenant, "make", f"exec({make!r})")
    uid = host.cluster.get("pod", "rc-head-x-ray-x-ray", "-n", NAMESPACE)["metadata"]["uid"]
    head = ("logs", "rc-head", "-n", "ray")
    before = tenant.kubectl(*head)
    followed = tenant.follow(*head)
    assert followed.stdout
    first = followed.stdout.read(len(before))  # it follows this run, not the next
    (victim,) = [s.pid for s in host.sandbox.status() if s.name == f"pod-{uid}"]
    workers = {pod["metadata"]["uid"] for pod in pods(tenant, cluster) if "worker" in name_of(pod)}
    for child in Path(f"/proc/{victim}/task/{victim}/children").read_text().split():
        if "gcs_server" in Path(f"/proc/{child}/cmdline").read_text():
            os.kill(int(child), signal.SIGKILL)

    def restarted() -> bool:
        head = next(pod for pod in pods(tenant, cluster) if name_of(pod) == "rc-head")
        container = head["status"]["containerStatuses"][0]
        return bool(container["restartCount"] and container["ready"])

    until(restarted, "the head is back", SLOW)
    printed = first + followed.communicate(timeout=60)[0]  # it ends with the container
    assert first == before
    assert tenant.kubectl(*head, "--previous") == printed
    assert not tenant.kubectl(*head).startswith(printed)
    ask = "import ray; ray.init(namespace='n'); print('still', ray.get(ray.get_actor('a').v.remote()))"
    assert "still 99" in run_job(tenant, "ask", ask)
    after = {pod["metadata"]["uid"] for pod in pods(tenant, cluster) if "worker" in name_of(pod)}
    assert after == workers


def name_of(pod: dict[str, Any]) -> str:
    return str(pod["metadata"]["name"])


def test_workers_are_added_and_taken_away(tenant: Cluster, cluster: str) -> None:
    path = "/spec/workerGroupSpecs/0/replicas"
    patch = json.dumps([{"op": "replace", "path": path, "value": 1}])
    tenant.kubectl("patch", "raycluster", cluster, "-n", "ray", "--type=json", "-p", patch)
    until(lambda: len(pods(tenant, cluster)) == 2, "one worker is left")
    minimum = ("podgroup", "ray-rc-pg", "-n", "ray")
    until(lambda: tenant.get(*minimum)["spec"]["minMember"] == 2, "the gang is smaller")


def test_a_ray_job_makes_its_cluster_and_shuts_it_down(tenant: Cluster, cluster: str) -> None:
    spec = {
        "entrypoint": "python -c \"print('hello')\"",
        "shutdownAfterJobFinishes": True,
        "rayClusterSpec": {"headGroupSpec": group("1")},
    }
    labels = {"volcano.sh/queue-name": "team"}
    meta = {"name": "job", "namespace": "ray", "labels": labels}
    tenant.apply({"apiVersion": "ray.io/v1", "kind": "RayJob", "metadata": meta, "spec": spec})

    def over() -> Any:
        found = tenant.get("rayjob", "job", "-n", "ray").get("status", {})
        return found if found.get("jobDeploymentStatus") in ("Complete", "Failed") else None

    found = until(over, "the RayJob ends", SLOW)
    assert (found["jobDeploymentStatus"], found["jobStatus"]) == ("Complete", "SUCCEEDED")
    assert found["startTime"] <= found["endTime"]
    assert tenant.get("podgroup", "ray-job-pg", "-n", "ray")
    gone = found["rayClusterName"]
    until(lambda: not tenant.get("raycluster", gone, "-n", "ray"), "its RayCluster is gone")
    until(lambda: not pods(tenant, gone), "its pods are gone")


def test_deleting_removes_processes_and_keys(host: Host, tenant: Cluster, cluster: str) -> None:
    with redis(host) as client:
        assert client.keys("RAY*")
    tenant.kubectl("delete", "raycluster", cluster, "-n", "ray")
    assert not pods(tenant, cluster)
    with redis(host) as client:
        assert not client.keys("RAY*")
    try:
        until(lambda: not ray_processes(host), "no Ray process is left")
    except pytest.fail.Exception:
        pytest.fail(f"left: {ray_processes(host)}")
    until(lambda: not tenant.get("podgroup", "ray-rc-pg", "-n", "ray"), "the PodGroup is gone")
    until(lambda: not tenant.get("service", "rc-head-svc", "-n", "ray"), "the Service is gone")


def ray_processes(host: Host) -> list[str]:
    found = []
    for pid in marked(host.root):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
        if "raylet" in command or "gcs_server" in command or command.startswith("ray::"):
            found.append(f"{pid} {command[:200]}")
    return found
