"""The stand-in for vcluster: a real API server per virtual cluster, and its syncer."""

import base64
import json
import os
import signal
import subprocess
from collections.abc import Iterator

import pytest
import yaml

from .conftest import NODES, Cluster, Host, marked, until, values

pytestmark = pytest.mark.sandbox
NAMESPACE = "atoll-one"


@pytest.fixture(scope="module")
def tenant(host: Host) -> Iterator[Cluster]:
    yield host.tenant("one", NAMESPACE, values())
    host.cluster.uninstall("one", NAMESPACE)


def running(cluster: Cluster, *where: str) -> bool:
    pods = cluster.get("pods", *where, "--field-selector=status.phase!=Succeeded").get("items", [])
    return bool(pods) and all(pod["status"].get("phase") == "Running" for pod in pods)


def control_plane(host: Host) -> int:
    """Pid of the tenant's API server."""
    found = [s.pid for s in host.sandbox.status() if s.name.endswith("-apiserver") and s.alive]
    assert len(found) == 1
    assert found[0] is not None
    return found[0]


def test_the_secret_is_what_vcluster_writes(host: Host, tenant: Cluster) -> None:
    secret = host.cluster.get("secret", "vc-one", "-n", NAMESPACE)
    assert set(secret["data"]) == {
        "config",
        "certificate-authority",
        "client-certificate",
        "client-key",
    }
    assert secret["metadata"]["labels"] == {"app": "vcluster", "vcluster-name": "one"}
    config = yaml.safe_load(base64.b64decode(secret["data"]["config"]))
    assert config["clusters"][0]["cluster"]["server"].startswith("https://127.0.0.1:")
    service = host.cluster.get("service", "one", "-n", NAMESPACE)
    endpoint = service["metadata"]["annotations"]["sandbox.atoll.dev/endpoint"]
    assert config["clusters"][0]["cluster"]["server"] == f"https://{endpoint}"
    pod = host.cluster.get("pod", "one-0", "-n", NAMESPACE)
    assert "v1.36.3" in pod["metadata"]["annotations"]["sandbox.atoll.dev/note"]


def test_pods_inside_run_on_the_host_and_go_with_their_owner(host: Host, tenant: Cluster) -> None:
    tenant.kubectl("create", "namespace", "apps")
    tenant.kubectl("create", "deployment", "web", "-n", "apps", "--image=nginx", "--replicas=2")
    until(lambda: running(tenant, "-n", "apps"), "the pods run inside")
    pods = host.cluster.get("pods", "-n", NAMESPACE, "-l", "vcluster.loft.sh/managed-by=one")[
        "items"
    ]
    assert len(pods) == 2
    for pod in pods:
        meta = pod["metadata"]
        assert meta["name"] == meta["annotations"]["vcluster.loft.sh/object-name"] + "-x-apps-x-one"
        assert meta["labels"]["vcluster.loft.sh/namespace"] == "apps"
        assert meta["labels"]["app"] == "web"
        assert pod["spec"]["serviceAccountName"] == "vc-workload-one"
        assert pod["spec"]["nodeName"] in tenant.names("nodes")
    tenant.kubectl("delete", "deployment", "web", "-n", "apps")
    until(lambda: not tenant.names("pods", "-n", "apps"), "gone inside")
    selector = ("-l", "vcluster.loft.sh/managed-by=one")
    until(lambda: not host.cluster.names("pods", "-n", NAMESPACE, *selector), "gone on the host")


def test_a_pod_that_the_host_lost_is_made_again(host: Host, tenant: Cluster) -> None:
    tenant.kubectl("create", "deployment", "again", "--image=nginx")
    until(lambda: running(tenant), "the pod runs")
    (first,) = tenant.names("pods")
    host.cluster.kubectl("delete", "pod", "-n", NAMESPACE, f"{first}-x-default-x-one")
    until(lambda: running(tenant) and first not in tenant.names("pods"), "another pod runs")
    tenant.kubectl("delete", "deployment", "again")


def test_jobs_inside_end(tenant: Cluster) -> None:
    tenant.kubectl("create", "job", "once", "--image=busybox", "--", "true")
    until(lambda: tenant.get("job", "once")["status"].get("succeeded") == 1, "the job ends")


def test_a_refusal_of_the_host_is_an_event_inside(host: Host, tenant: Cluster) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "tight", "namespace": NAMESPACE},
        "spec": {"hard": {"pods": "1"}},
    }
    host.cluster.apply(quota)
    status = ("resourcequota", "tight", "-n", NAMESPACE)
    until(lambda: host.cluster.get(*status).get("status", {}).get("used"), "the quota counts")
    tenant.kubectl("run", "refused", "--image=nginx")

    def told() -> bool:
        events = tenant.get("events", "--field-selector=reason=SyncError").get("items", [])
        return any("exceeded quota: tight" in event["message"] for event in events)

    until(told, "a SyncError event")
    host.cluster.kubectl("delete", "resourcequota", "tight", "-n", NAMESPACE)
    until(lambda: running(tenant), "the pod runs once there is room")
    tenant.kubectl("delete", "pod", "refused")


def test_secrets_and_services_get_copies(host: Host, tenant: Cluster) -> None:
    tenant.kubectl("create", "secret", "generic", "key", "--from-literal=k=v")
    tenant.kubectl("create", "service", "clusterip", "web", "--tcp=80:80")
    environment = [{"name": "K", "valueFrom": {"secretKeyRef": {"name": "key", "key": "k"}}}]
    container = {"name": "c", "image": "nginx", "env": environment}
    tenant.apply({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "uses", "namespace": "default"},
        "spec": {"containers": [container]},
    })  # fmt: skip
    until(lambda: running(tenant), "the pod runs")
    assert "key-x-default-x-one" in host.cluster.names("secrets", "-n", NAMESPACE)
    assert "web-x-default-x-one" in host.cluster.names("services", "-n", NAMESPACE)
    tenant.kubectl("delete", "pod/uses", "service/web")


def test_a_secret_that_is_made_after_its_pod_gets_a_copy_too(host: Host, tenant: Cluster) -> None:
    source = {"name": "K", "valueFrom": {"secretKeyRef": {"name": "late", "key": "k"}}}
    tenant.apply({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "early", "namespace": "default"},
        "spec": {"containers": [{"name": "c", "image": "nginx", "env": [source]}]},
    })  # fmt: skip
    until(lambda: running(tenant), "the pod is on the host")
    # A played pod runs without what it names; a kubelet, and our Ray heads, tell that they wait.
    waiting = {"reason": "CreateContainerConfigError", "message": "Secret late does not exist"}
    told = {"name": "c", "ready": False, "restartCount": 0, "image": "nginx", "imageID": "",
            "state": {"waiting": waiting}}  # fmt: skip
    host.cluster.kubectl(
        "patch", "pod", "early-x-default-x-one", "-n", NAMESPACE, "--subresource=status",
        "--type=merge", "-p", json.dumps({"status": {"containerStatuses": [told]}}),
    )  # fmt: skip
    assert "late-x-default-x-one" not in host.cluster.names("secrets", "-n", NAMESPACE)
    tenant.kubectl("create", "secret", "generic", "late", "--from-literal=k=v")
    until(
        lambda: "late-x-default-x-one" in host.cluster.names("secrets", "-n", NAMESPACE),
        "the Secret has come after its pod",
    )
    tenant.kubectl("delete", "pod/early")


def test_state_survives_the_pod_and_a_killed_server(host: Host, tenant: Cluster) -> None:
    tenant.kubectl("create", "configmap", "kept", "--from-literal=a=b")
    first = control_plane(host)
    os.kill(first, signal.SIGKILL)
    until(lambda: tenant.kubectl("get", "configmap", "kept", check=False), "it is back", 60)
    host.cluster.kubectl("delete", "pod", "one-0", "-n", NAMESPACE)
    until(lambda: tenant.kubectl("get", "configmap", "kept", check=False), "it is back again", 60)


def test_a_new_agent_takes_over_what_the_old_one_started(host: Host, tenant: Cluster) -> None:
    until(lambda: tenant.kubectl("get", "--raw", "/readyz", check=False) == "ok", "ready")
    server = control_plane(host)
    (agent,) = [s.pid for s in host.sandbox.status() if s.name == "agent"]
    assert agent is not None
    os.kill(agent, signal.SIGKILL)
    host.sandbox.up(NODES)
    tenant.kubectl("run", "after", "--image=nginx")
    until(lambda: running(tenant), "the new agent's syncer works")
    assert control_plane(host) == server
    tenant.kubectl("delete", "pod", "after")


def test_an_idle_virtual_cluster_takes_less_than_400_mib(host: Host, tenant: Cluster) -> None:
    pids = [str(s.pid) for s in host.sandbox.status() if s.name.startswith("vc-") and s.alive]
    done = subprocess.run(
        ["ps", "-o", "rss=", "-p", ",".join(pids)], capture_output=True, text=True, check=True
    )
    assert sum(int(line) for line in done.stdout.split()) < 400 * 1024


def test_an_older_version_is_emulated_and_an_empty_dir_forgets(host: Host) -> None:
    older = values(persistent=False, k8s={"image": {"tag": "v1.35.4"}})
    inside = host.tenant("two", "atoll-two", older)
    note = host.cluster.get("pods", "-n", "atoll-two")["items"][0]["metadata"]["annotations"]
    assert "emulating 1.35" in note["sandbox.atoll.dev/note"]
    inside.kubectl("create", "configmap", "lost")
    host.cluster.kubectl("delete", "pod", "-n", "atoll-two", "--all")
    secret = "deleted pod's port may change"
    again = until(
        lambda: host.tenant("two", "atoll-two", older).kubectl("get", "ns", check=False), secret, 60
    )
    assert "default" in again
    fresh = host.tenant("two", "atoll-two", older)
    assert "lost" not in fresh.names("configmaps")
    host.cluster.uninstall("two", "atoll-two")
    until(lambda: not host.cluster.names("pods", "-n", "atoll-two"), "the pod is gone")
    until(lambda: one_store(host), "its store is gone")


def one_store(host: Host) -> bool:
    return len(list((host.root / "tenants").iterdir())) == 1


def test_uninstalling_ends_the_processes_and_removes_the_state(host: Host) -> None:
    before = set(marked(host.root))
    namespace = "atoll-gone"
    host.tenant("gone", namespace, values())
    assert len(set(marked(host.root)) - before) == 2
    host.cluster.uninstall("gone", namespace)
    until(lambda: set(marked(host.root)) <= before, "the processes end")
    until(lambda: not host.cluster.names("pvc", "-n", namespace), "the claim is gone")
    until(lambda: one_store(host), "the store is gone")
    assert "vc-gone" not in host.cluster.names("secrets", "-n", namespace)
