"""Values of the vcluster chart that the open build cannot do."""

from typing import Any

import pytest

from atoll.domain.vcluster_values import CLOSED, DIES, IGNORES, OURS, find_value_problems


def nested(path: str, value: Any) -> dict[str, Any]:
    for part in reversed(path.split(".")):
        value = {part: value}
    return dict(value)


@pytest.mark.parametrize(
    ("path", "value", "at", "reason"),
    [
        ("controlPlane.backingStore.etcd.embedded.enabled", True, None, DIES),
        ("controlPlane.backingStore.database.external", {"enabled": True}, None, DIES),
        ("controlPlane.coredns.embedded", True, None, DIES),
        ("privateNodes.enabled", True, None, DIES),
        ("sync.toHost.namespaces", {"enabled": True}, None, DIES),
        ("sync.toHost.pods.hybridScheduling.enabled", True, None, DIES),
        ("sync.toHost.pods.patches", [{"path": "x"}], "sync.toHost.pods.patches", DIES),
        ("sync.toHost.customResources", {"a.b/v1": {"enabled": True}}, None, IGNORES),
        ("policies.centralAdmission.validatingWebhooks", [{"name": "x"}], None, IGNORES),
        ("sleepMode.enabled", True, None, IGNORES),
        ("integrations.certManager.enabled", True, None, IGNORES),
        ("controlPlane.backingStore.database.embedded.dataSource", "mysql://x", None, IGNORES),
        ("exportKubeConfig.server", "https://x", None, OURS),
        ("policies.resourceQuota.enabled", False, None, OURS),
        ("sync.fromHost.nodes", {"enabled": False}, None, OURS),
        ("experimental.syncSettings.setOwner", True, None, OURS),
        ("experimental.deploy.host.manifests", "kind: Pod", None, CLOSED),
        ("rbac.clusterRole.extraRules", [{"verbs": ["*"]}], None, CLOSED),
        ("controlPlane.statefulSet.persistence.addVolumes", [{"hostPath": {}}], None, CLOSED),
        ("sync.fromHost.secrets.enabled", True, None, CLOSED),
        ("networking.replicateServices.fromHost", [{"from": "a/b"}], None, CLOSED),
        (
            "controlPlane.statefulSet.highAvailability.replicas", 3,
            "controlPlane.statefulSet.highAvailability.replicas", "its SQLite store allows one replica",
        ),
    ],
)  # fmt: skip
def test_refused(path: str, value: Any, at: str | None, reason: str) -> None:
    (found,) = find_value_problems(nested(path, value))
    assert found.reason == reason
    assert path.startswith(found.path)
    assert found.path == at or at is None
    assert found.instead
    assert found.pointer == "/" + found.path.replace(".", "/")


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"controlPlane": {"backingStore": {"etcd": {"embedded": {"enabled": False}}}}},
        {"controlPlane": {"backingStore": {"etcd": {"deploy": {"enabled": True}}}}},
        {"controlPlane": {"coredns": {"deployment": {"replicas": 2}}}},
        {"sync": {"toHost": {"podDisruptionBudgets": {"enabled": True}, "pods": {"patches": []}}}},
        {"sync": {"fromHost": {"customResources": {"x": {"enabled": False}}}}},
        {"privateNodes": None, "sync": None, "policies": ""},
        {
            "controlPlane": {
                "statefulSet": {"highAvailability": {"replicas": 3}},
                "backingStore": {"etcd": {"deploy": {"enabled": True}}},
            }
        },
    ],
)
def test_allowed(values: dict[str, Any]) -> None:
    assert find_value_problems(values) == []
