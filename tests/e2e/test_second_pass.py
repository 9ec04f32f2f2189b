"""A second look at a converged virtual cluster writes nothing, anywhere."""

import subprocess
import sys
from typing import Any

from e2e.kube import Kube
from e2e.local import Local
from e2e.stage import ROOT

HOST_KINDS = (
    "/apis/atoll.dev/v1alpha1/virtualclusters",
    "/apis/atoll.dev/v1alpha1/teams",
    "/apis/atoll.dev/v1alpha1/profiles",
    "/api/v1/namespaces",
    "/api/v1/secrets",
    "/api/v1/configmaps",
    "/api/v1/services",
    "/api/v1/serviceaccounts",
    "/api/v1/resourcequotas",
    "/api/v1/limitranges",
    "/api/v1/persistentvolumeclaims",
    "/apis/apps/v1/statefulsets",
    "/apis/networking.k8s.io/v1/networkpolicies",
    "/apis/rbac.authorization.k8s.io/v1/roles",
    "/apis/rbac.authorization.k8s.io/v1/rolebindings",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "/apis/coordination.k8s.io/v1/namespaces/atoll-system/leases",
)
INSIDE_KINDS = (
    "/api/v1/namespaces",
    "/api/v1/secrets",
    "/api/v1/services",
    "/api/v1/serviceaccounts",
    "/apis/apps/v1/deployments",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies",
    "/apis/scheduling.volcano.sh/v1beta1/queues",
    "/apis/ray.io/v1/rayclusters",
)
_LOOK = """
import asyncio, sys
from atoll_worker.tasks import look
print("word:", asyncio.run(look(sys.argv[1], {})))
"""
Versions = dict[str, tuple[str, Any]]


def written_by_us(kube: Kube, kinds: tuple[str, ...]) -> Versions:
    """Every object with what our field manager last wrote, and the generation of its spec.

    Status that controllers write in between (a rollout, a quota's use) is not ours and not counted.
    """
    found: Versions = {}
    for path in kinds:
        for item in kube.items(path):
            meta = item["metadata"]
            ours = [
                (entry["operation"], entry.get("subresource", ""), entry["time"])
                for entry in meta.get("managedFields", [])
                if entry["manager"] in ("atoll", "helm") or "python" in entry["manager"]
            ]
            key = f"{path} {meta.get('namespace', '')}/{meta['name']}"
            found[key] = (meta["uid"], (meta.get("generation"), sorted(ours)))
    return found


def exact(kube: Kube, paths: tuple[str, ...]) -> dict[str, str]:
    """resourceVersions of objects that nobody but us writes."""
    return {
        f"{path} {item['metadata']['name']}": item["metadata"]["resourceVersion"]
        for path in paths
        for item in kube.items(path)
    }


def test_a_second_look_writes_nothing(platform: Local) -> None:
    platform.demo()
    host, inside = platform.stage.host, platform.stage.inside("demo")
    env = platform.environment_of("worker")
    ours = (
        "/apis/atoll.dev/v1alpha1/virtualclusters",
        "/apis/atoll.dev/v1alpha1/teams",
        "/apis/coordination.k8s.io/v1/namespaces/atoll-system/leases",
        "/api/v1/namespaces/atoll-access/secrets",
        "/api/v1/namespaces/vc-demo/secrets",
        "/api/v1/namespaces/default/events?fieldSelector=involvedObject.kind%3DVirtualCluster",
    )

    def state() -> tuple[Versions, Versions, dict[str, str]]:
        return (
            written_by_us(host, HOST_KINDS),
            written_by_us(inside, INSIDE_KINDS),
            exact(host, ours),
        )

    def look() -> str:
        done = subprocess.run(
            [sys.executable, "-c", _LOOK, "demo"], env=env, cwd=ROOT, capture_output=True,
            text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.rpartition("word: ")[2].strip()

    assert look() == "converged"  # whatever was left to note is noted now
    before = state()
    assert (len(before[0]) > 100, len(before[1]) > 50, len(before[2]) > 5) == (True,) * 3
    assert look() == "converged"
    after = state()
    for was, now in zip(before, after, strict=True):
        assert now == was
