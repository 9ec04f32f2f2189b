"""Chart values: what must hold for every virtual cluster."""

from typing import Any

from atoll.domain.quantities import parse_quantity
from atoll.resources.profiles import Profile
from atoll.resources.virtual_clusters import VirtualCluster
from atoll_worker.adapters.helm import canonical_hash
from atoll_worker.reconcile.schedulers.volcano import Volcano
from atoll_worker.reconcile.values import (
    CEILINGS,
    host_quota,
    kuberay_values,
    tenant_values,
    vcluster_values,
)

CHART = {"repository": "https://charts.example", "name": "c", "version": "1.0.0"}


def profile() -> Profile:
    return Profile.model_validate(
        {
            "metadata": {"name": "p"},
            "spec": {
                "kubernetes": {"version": "1.36.3"},
                "vcluster": {"chart": CHART},
                "kuberay": {"chart": CHART},
                "scheduler": {"chart": CHART},
                "ray": {"version": "2.60.0"},
            },
        }
    )


def cluster(**spec: Any) -> VirtualCluster:
    return VirtualCluster.model_validate({"metadata": {"name": "x"}, "spec": {"team": "t", **spec}})


def test_the_open_image_a_volume_and_no_telemetry_always() -> None:
    values = vcluster_values(cluster(), profile())
    stateful = values["controlPlane"]["statefulSet"]
    assert stateful["image"]["repository"] == "loft-sh/vcluster-oss"
    assert stateful["persistence"]["volumeClaim"]["enabled"] is True
    assert values["telemetry"] == {"enabled": False}
    assert values["experimental"]["syncSettings"]["setOwner"] is False


def test_dedicated_mode_schedules_inside_over_its_own_nodes_only() -> None:
    values = vcluster_values(cluster(mode="dedicated"), profile())
    assert values["controlPlane"]["distro"]["k8s"]["scheduler"]["enabled"] is True
    nodes = values["sync"]["fromHost"]["nodes"]
    assert nodes == {"enabled": True, "selector": {"labels": {"atoll.dev/virtual-cluster": "x"}}}
    shared = vcluster_values(cluster(mode="shared"), profile())
    assert shared["sync"]["fromHost"]["nodes"]["enabled"] is False


def test_what_a_start_waits_for_is_not_held_to_a_part_of_a_core() -> None:
    kubernetes = vcluster_values(cluster(), profile())["controlPlane"]["distro"]["k8s"]
    assert (
        kubernetes["resources"]["limits"]["cpu"] == "1"
    )  # of the chart: 100m, which is six seconds
    assert "cpu" not in kuberay_values(profile())["resources"]["limits"]
    assert "cpu" not in Volcano().values(profile())["custom"]["scheduler_resources"]["limits"]


def test_extra_values_add_and_never_override_ours() -> None:
    extra = {
        "controlPlane": {"statefulSet": {"image": {"repository": "evil"}, "labels": {"a": "b"}}},
        "telemetry": {"enabled": True},
    }
    values = vcluster_values(cluster(values=extra), profile())
    assert values["controlPlane"]["statefulSet"]["image"]["repository"] == "loft-sh/vcluster-oss"
    assert values["controlPlane"]["statefulSet"]["labels"] == {"a": "b"}
    assert values["telemetry"]["enabled"] is False


def test_a_new_fence_is_not_a_new_wish() -> None:
    vc = cluster(quota={"cpu": "2"})
    one, two = tenant_values(vc, profile(), 1), tenant_values(vc, profile(), 2)
    assert one != two
    assert canonical_hash(one) == canonical_hash(two)
    other = tenant_values(cluster(quota={"cpu": "3"}), profile(), 1)
    assert canonical_hash(one) != canonical_hash(other)


def test_the_platforms_own_share_comes_on_top_of_the_teams() -> None:
    quota = {"cpu": "2", "pods": "10", "nvidia.com/gpu": "1", "virtualclusters": "1"}
    hard = host_quota(cluster(quota=quota), profile())
    assert {name: amount for name, amount in hard.items() if name not in CEILINGS} == {
        "requests.cpu": "2650m",
        "pods": "18",
        "requests.nvidia.com/gpu": "1",
    }


def test_what_a_quota_does_not_say_has_a_ceiling_on_the_host() -> None:
    """Also pods that only wait, or have ended, are objects of an etcd that all teams share."""
    ceilings = {name: str(most) for name, most in CEILINGS.items()}
    for mode in ("dedicated", "shared"):
        hard = host_quota(cluster(mode=mode, quota={"cpu": "1", "memory": "1Gi"}), profile())
        assert {name: hard.get(name) for name in ceilings} == ceilings
        assert int(ceilings["count/pods"]) > 0


def test_a_quota_moves_the_ceilings() -> None:
    quota = {"pods": "5000", "services": "40", "count/secrets": "3"}
    hard = host_quota(cluster(quota=quota), profile())
    assert hard["pods"] == "5008"
    assert hard["count/pods"] == "10016"
    assert hard["count/services"] == "500"
    assert hard["count/secrets"] == "103"  # with the platform's own


def test_policies_that_mutate_are_switched_on_where_they_are_a_beta() -> None:
    def arguments(version: str) -> list[str]:
        asked = profile()
        asked.spec.kubernetes.version = version
        k8s = vcluster_values(cluster(), asked)["controlPlane"]["distro"]["k8s"]
        found: list[str] = k8s.get("apiServer", {}).get("extraArgs", [])
        return found

    beta = "--runtime-config=admissionregistration.k8s.io/v1beta1=true"
    assert [beta in arguments(v) for v in ("1.33.4", "1.34.0", "1.35.4", "1.36.3")] == [
        False, True, True, False,
    ]  # fmt: skip


def test_a_shared_virtual_cluster_is_pinned_to_shared_nodes_and_its_pods_have_a_class() -> None:
    shared = cluster(mode="shared", quota={"cpu": "4", "memory": "8Gi", "pods": "20"})
    values = vcluster_values(shared, profile())
    nodes = values["sync"]["fromHost"]["nodes"]
    assert nodes == {"enabled": False, "selector": {"labels": {"atoll.dev/shared": "true"}}}
    assert values["sync"]["toHost"]["pods"]["priorityClassName"] == "atoll-gang"
    assert values["controlPlane"]["coredns"]["priorityClassName"] == "atoll-plain"
    assert values["controlPlane"]["distro"]["k8s"]["scheduler"]["enabled"] is False
    assert kuberay_values(profile(), shared=True)["priorityClassName"] == "atoll-plain"


def test_in_shared_mode_the_queue_counts_what_gangs_hold_and_the_namespace_the_rest() -> None:
    shared = cluster(mode="shared", quota={"cpu": "4", "memory": "8Gi", "pods": "20"})
    quota = tenant_values(shared, profile(), 1)["quota"]
    quota["hard"] = {n: a for n, a in quota["hard"].items() if n not in CEILINGS}
    assert quota == {
        "hard": {"pods": "28"},
        "plain": {"requests.cpu": "650m", "requests.memory": "2432Mi"},
    }


def test_the_platforms_own_pods_of_a_shared_virtual_cluster_use_what_they_request() -> None:
    """The host judges them as it judges a team's, and a restarting one finds room in what is theirs."""
    shared = cluster(mode="shared", quota={"cpu": "4", "memory": "8Gi"})
    dns = vcluster_values(shared, profile())["controlPlane"]["coredns"]["deployment"]["resources"]
    operator = kuberay_values(profile(), shared=True)["resources"]
    for amounts in (dns, operator):
        assert amounts["requests"]["memory"] == amounts["limits"]["memory"]
    values = tenant_values(shared, profile(), 1)
    limits = values["limitRange"]
    assert limits["default"] == limits["defaultRequest"] == {"ephemeral-storage": "1Gi"}
    left = parse_quantity(values["quota"]["plain"]["requests.memory"]) - sum(
        parse_quantity(amount)
        for amount in (profile().spec.vcluster.memory, profile().spec.redis.memory)
    )
    assert left >= 2 * sum(parse_quantity(a["requests"]["memory"]) for a in (dns, operator))
    assert "limitRange" not in tenant_values(cluster(quota={"cpu": "1"}), profile(), 1)
    dedicated = cluster(quota={"cpu": "4"})
    assert tenant_values(dedicated, profile(), 1)["quota"]["plain"] == {}
