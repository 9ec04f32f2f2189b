"""`atoll down` takes away everything that `atoll up` made on a real cluster."""

import pytest

from atoll.hosts.detached import start_time
from e2e.figures import Figures
from e2e.kube import Kube
from e2e.local import PROCESSES, Local
from e2e.stage import OWNER_LABEL
from waiting import until

SEARCHED = (
    "/api/v1/namespaces",
    "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "/api/v1/persistentvolumes",
)


def leftovers(host: Kube) -> list[str]:
    """Objects of the host whose name, or whose claim's namespace, is ours."""
    left = []
    for path in SEARCHED:
        for item in host.items(path):
            claim = (item.get("spec") or {}).get("claimRef") or {}
            words = (item["metadata"]["name"], claim.get("namespace", ""))
            if any(w.startswith(("atoll", "vc-")) or w.endswith(".atoll.dev") for w in words):
                left.append(f"{path.rsplit('/', 1)[-1]}/{words[0]}")
    return left


def test_down_leaves_nothing(local: Local, figures: Figures) -> None:
    if not local.lives:
        pytest.skip("no platform was started by a test before")
    pids = [local.pid(process) for process in PROCESSES]
    ran = local.down()
    assert ran.code == 0, ran.err
    assert [pid for pid in pids if start_time(pid)] == []
    assert not local.root.exists()
    host = local.stage.host
    until(lambda: not leftovers(host), f"the host is as before; left {leftovers(host)}", 60)
    nodes = host.items("/api/v1/nodes")
    assert [n["metadata"]["name"] for n in nodes if OWNER_LABEL in n["metadata"]["labels"]] == []
    figures.note(f"atoll down with the demonstration: {ran.seconds:.1f} s")
