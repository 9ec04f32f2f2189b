"""What one virtual cluster gets on the host beside its vcluster."""

import pytest
import yaml

from charts.rendering import HELM, Object, render, template


def test_every_object_carries_the_fence_and_the_owner() -> None:
    rendered = render("tenant", "defaults", "--set", "fence=12345678")
    assert len(rendered.objects) >= 11
    for item in rendered.objects:
        meta = item["metadata"]
        assert meta["annotations"]["atoll.dev/fence"] == "12345678"
        assert meta["labels"]["atoll.dev/team"] == "physics"
        assert meta["labels"]["atoll.dev/virtual-cluster"] == "lab"


def test_a_new_fence_restarts_no_pod_and_touches_no_claim() -> None:
    before = render("tenant", "defaults").one("StatefulSet", "redis")["spec"]
    after = render("tenant", "defaults", "--set", "fence=99").one("StatefulSet", "redis")["spec"]
    assert before == after


def test_a_changed_configuration_does_restart_redis() -> None:
    before = render("tenant", "defaults").one("StatefulSet", "redis")["spec"]["template"]
    after = render("tenant", "defaults", "--set", "redis.memory=1Gi").one("StatefulSet", "redis")[
        "spec"
    ]["template"]
    assert before["metadata"]["annotations"] != after["metadata"]["annotations"]


def test_the_quota_is_printed_as_it_was_given() -> None:
    values = "quota.hard.requests\\.nvidia\\.com/gpu=2,quota.hard.count/rayclusters\\.ray\\.io=5"
    rendered = render("tenant", "defaults", "--set", values)
    hard = rendered.one("ResourceQuota", "tenant")["spec"]["hard"]
    assert hard == {
        "requests.cpu": "8", "requests.memory": "16Gi", "pods": "50", "requests.storage": "20Gi",
        "requests.nvidia.com/gpu": "2", "count/rayclusters.ray.io": "5",
    }  # fmt: skip


def test_no_quota_object_without_a_quota() -> None:
    answer = template(
        "tenant", HELM / "tenant" / "ci" / "defaults-values.yaml", "--set", "quota.hard=null"
    )
    assert answer.returncode == 0, answer.stderr
    kinds = [o["kind"] for o in yaml.safe_load_all(answer.stdout) if o]
    assert "LimitRange" in kinds
    assert "ResourceQuota" not in kinds


def test_the_limit_range_gives_no_container_a_cpu_or_memory_limit() -> None:
    (limits,) = render("tenant", "defaults").one("LimitRange", "tenant")["spec"]["limits"]
    assert set(limits["default"]) == {"ephemeral-storage"}
    assert {"cpu", "memory"} <= set(limits["defaultRequest"])


def policies(*arguments: str) -> dict[str, Object]:
    found = render("tenant", "defaults", *arguments).of("NetworkPolicy")
    return {p["metadata"]["name"]: p["spec"] for p in found}


def test_nothing_is_reachable_unless_a_policy_opens_it() -> None:
    found = policies()
    assert found["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, spec in found.items():
        for rule in [*spec.get("ingress", []), *spec.get("egress", [])]:
            assert rule, f"{name}: an empty rule allows everything"
            assert rule.get("from") or rule.get("to"), (
                f"{name}: a rule without a peer allows everybody"
            )


def test_workload_pods_reach_each_other_their_names_and_their_api_server_only() -> None:
    egress = policies()["workload"]["egress"]
    assert len(egress) == 3
    ours, dns, control = egress
    assert ours == {
        "to": [{"podSelector": {"matchLabels": {"vcluster.loft.sh/managed-by": "lab"}}}]
    }
    assert {(p["protocol"], p["port"]) for p in dns["ports"]} == {
        ("UDP", 53), ("TCP", 53), ("UDP", 1053), ("TCP", 1053),
    }  # fmt: skip
    assert control["to"] == [
        {"podSelector": {"matchLabels": {"app": "vcluster", "release": "lab"}}}
    ]
    assert control["ports"] == [{"protocol": "TCP", "port": 8443}]


def test_the_internet_is_open_only_on_request_and_never_the_metadata_address() -> None:
    assert "ipBlock" not in str(policies()["workload"])
    (rule,) = [
        r
        for r in policies("--set", "network.publicEgress=true")["workload"]["egress"]
        if "ipBlock" in str(r)
    ]
    v4 = next(p["ipBlock"] for p in rule["to"] if p["ipBlock"]["cidr"] == "0.0.0.0/0")
    assert {"169.254.0.0/16", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"} <= set(v4["except"])


def test_redis_is_reached_by_ray_pods_of_its_own_virtual_cluster_and_the_platform() -> None:
    redis = policies()["redis"]
    (rule,) = redis["ingress"]
    ray, platform = rule["from"]
    assert ray["podSelector"]["matchLabels"] == {"vcluster.loft.sh/managed-by": "lab"}
    assert "namespaceSelector" not in ray
    (node_types,) = ray["podSelector"]["matchExpressions"]
    assert node_types["values"] == ["head", "worker", "redis-cleanup"]
    assert platform == {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "atoll-system"}}
    }
    assert rule["ports"] == [{"protocol": "TCP", "port": 6379}]
    assert "egress" not in redis


def test_the_virtual_api_server_is_reached_by_its_own_pods_and_the_platform_only() -> None:
    (rule,) = policies()["control-plane"]["ingress"]
    workloads, itself, platform = rule["from"]
    assert workloads == {"podSelector": {"matchLabels": {"vcluster.loft.sh/managed-by": "lab"}}}
    assert itself == {"podSelector": {"matchLabels": {"app": "vcluster", "release": "lab"}}}
    assert platform["namespaceSelector"] == {
        "matchLabels": {"kubernetes.io/metadata.name": "atoll-system"}
    }
    (parts,) = platform["podSelector"]["matchExpressions"]
    assert parts["values"] == ["gateway", "worker"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 8443}]
    # The platform's pods really carry these labels.
    for part in parts["values"]:
        pod = render("atoll", "production").one("Deployment", f"atoll-{part}")["spec"]["template"]
        labels = pod["metadata"]["labels"]
        assert labels.items() >= platform["podSelector"]["matchLabels"].items()
        assert labels[parts["key"]] == part


def test_no_policy_is_open_to_every_namespace_or_address() -> None:
    for name, spec in policies().items():
        for rule in spec.get("ingress", []):
            for peer in rule["from"]:
                assert peer.get("namespaceSelector", "absent") != {}, name
                assert "ipBlock" not in peer, name
    blocks = 'network.apiServerFrom=[{"cidr":"10.0.0.7/32"}]'
    (rule,) = policies("--set-json", blocks)["control-plane"]["ingress"]
    assert rule["from"][-1] == {"ipBlock": {"cidr": "10.0.0.7/32"}}


def test_a_tenant_cannot_pose_as_redis_or_as_the_control_plane() -> None:
    # vcluster rewrites the label `release` on every pod of the team.
    rendered = render("tenant", "defaults")
    assert rendered.one("Service", "redis")["spec"]["selector"]["release"] == "atoll.redis"
    found = policies()
    assert found["redis"]["podSelector"]["matchLabels"]["release"] == "atoll.redis"
    assert found["control-plane"]["podSelector"]["matchLabels"]["release"] == "lab"


@pytest.mark.parametrize(
    ("switch", "kind"), [("network.enabled", "NetworkPolicy"), ("redis.enabled", "StatefulSet")]
)
def test_parts_can_be_switched_off(switch: str, kind: str) -> None:
    kinds = {o["kind"] for o in render("tenant", "defaults", "--set", f"{switch}=false").objects}
    assert kinds
    assert kind not in kinds


@pytest.mark.parametrize(
    ("flag", "memory", "bytes_", "limit"),
    [
        ("--set", "128Mi", 134217728, "335544320"),
        ("--set", "1G", 1000000000, "2067108864"),
        ("--set-json", "134217728", 134217728, "335544320"),
    ],
)
def test_redis_memory_leaves_room_for_the_copy(
    flag: str, memory: str, bytes_: int, limit: str
) -> None:
    rendered = render("tenant", "defaults", flag, f"redis.memory={memory}")
    assert f"maxmemory {bytes_}\n" in rendered.one("ConfigMap", "redis")["data"]["redis.conf"]
    (container,) = rendered.one("StatefulSet", "redis")["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == limit


def test_the_volume_goes_with_the_release() -> None:
    spec = render("tenant", "defaults").one("StatefulSet", "redis")["spec"]
    assert spec["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Delete"
    (claim,) = spec["volumeClaimTemplates"]
    assert claim["spec"]["resources"]["requests"]["storage"] == "1Gi"
    assert "storageClassName" not in claim["spec"]


def test_an_external_redis_has_no_pods_and_one_way_for_ray_alone() -> None:
    given = ("--set", "redis.enabled=false", "--set", "redis.external.port=6380",
             "--set", "redis.external.blocks[0]=10.0.8.0/24")  # fmt: skip
    rendered = render("tenant", "defaults", *given)
    assert "StatefulSet" not in {one["kind"] for one in rendered.objects}
    client = rendered.one("NetworkPolicy", "redis-client")["spec"]
    (types,) = client["podSelector"]["matchExpressions"]
    assert types["values"] == ["head", "worker", "redis-cleanup"]
    assert client["egress"] == [
        {
            "to": [{"ipBlock": {"cidr": "10.0.8.0/24"}}],
            "ports": [{"protocol": "TCP", "port": 6380}],
        }
    ]


@pytest.mark.parametrize("mode", ["defaults", "three"])
def test_the_password_of_redis_is_a_file_that_a_running_pod_sees_anew(mode: str) -> None:
    for workload in render("tenant", mode).of("StatefulSet"):
        spec = workload["spec"]["template"]["spec"]
        (container,) = spec["containers"]
        assert all("valueFrom" not in e or "fieldRef" in e["valueFrom"] for e in container["env"])
        (mount,) = [m for m in container["volumeMounts"] if m["name"] == "secret"]
        assert "subPath" not in mount  # such a file stays as it was
        (volume,) = [v for v in spec["volumes"] if v["name"] == "secret"]
        assert volume["secret"]["secretName"] == "redis"
