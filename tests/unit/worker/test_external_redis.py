"""An external Redis in a profile: what is refused, and what follows from it."""

from typing import Any

import pytest
from prometheus_client import REGISTRY
from pydantic import ValidationError

from atoll.domain.gcs_store import StoreFigures, figures_of
from atoll.resources.profiles import ExternalRedis, Profile
from atoll.resources.virtual_clusters import VirtualCluster
from atoll.telemetry import worker_metrics
from atoll_worker.reconcile.values import host_quota, tenant_values, vcluster_values
from atoll_worker.store_figures import told

CHART = {"repository": "https://charts.example", "name": "c", "version": "1.9.0"}
VC = VirtualCluster.model_validate(
    {"metadata": {"name": "x"}, "spec": {"team": "blue", "quota": {"memory": "2Gi"}}}
)
THEIRS = {"address": "redis.example.org:6380", "tls": True, "secret": "theirs",
          "networks": ["10.0.8.0/24"]}  # fmt: skip


def profile(**redis: Any) -> Profile:
    return Profile.model_validate({
        "metadata": {"name": "p"},
        "spec": {
            "kubernetes": {"version": "1.36.3"}, "vcluster": {"chart": CHART},
            "kuberay": {"chart": CHART}, "scheduler": {"chart": CHART},
            "ray": {"version": "2.60.0"}, "redis": redis,
        },
    })  # fmt: skip


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"address": "redis.example.org"}, "is not host:port"),
        ({"address": "rediss://redis.example.org:6380"}, "is not host:port"),
        ({"address": "redis.example.org:99999"}, "is not host:port"),
        ({"address": "2001:db8::1:6379"}, "in brackets"),
        ({"networks": []}, "list the address blocks"),
        ({"networks": ["everywhere"]}, "does not appear to be an IPv4 or IPv6 network"),
        ({"users": "some"}, "'each' or 'one'"),
    ],
)
def test_what_makes_no_sense_is_refused_with_what_to_write(
    changed: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        ExternalRedis.model_validate(THEIRS | changed)


def test_an_address_that_is_an_ip_address_says_its_own_block() -> None:
    for address, block in (("10.0.8.1:6379", "10.0.8.1/32"), ("[fd00::1]:6379", "fd00::1/128")):
        found = ExternalRedis.model_validate({"address": address, "secret": "theirs"})
        assert found.blocks == [block]


def test_the_tenant_gets_no_redis_pods_but_the_way_to_theirs() -> None:
    external, own = profile(external=THEIRS), profile()
    assert tenant_values(VC, external, 1)["redis"] == {
        "enabled": False, "external": {"port": 6380, "blocks": ["10.0.8.0/24"]},
    }  # fmt: skip
    assert "replicateServices" not in vcluster_values(VC, external)["networking"]
    assert "replicateServices" in vcluster_values(VC, own)["networking"]
    assert host_quota(VC, external) != host_quota(VC, own)
    assert external.spec.redis.ray_address == "rediss://redis.example.org:6380"
    assert own.spec.redis.ray_address == "redis.ray:6379"


INFO: dict[str, Any] = {
    "used_memory": 900, "maxmemory": 1000, "connected_clients": 3, "role": "master",
    "aof_enabled": 1, "aof_last_write_status": "ok", "db0": {"keys": 4}, "db1": {"keys": 1},
    "db_things": 7,
}  # fmt: skip


def test_what_redis_says_of_itself_is_read() -> None:
    assert figures_of(INFO) == StoreFigures(900, 1000, 3, 5, primary=True, kept=True)
    assert not figures_of(INFO | {"aof_last_write_status": "err"}).kept
    assert not figures_of(INFO | {"role": "slave"}).primary


def test_a_silent_redis_is_down_without_figures_and_one_that_is_gone_goes_off_the_page() -> None:
    def sample(name: str, pod: str = "redis-0") -> float | None:
        return REGISTRY.get_sample_value(name, {"virtual_cluster": "x", "pod": pod})

    worker_metrics.stores(told({("x", "redis-0"): figures_of(INFO), ("x", "redis-1"): None}))
    assert sample("atoll_redis_up") == 1
    assert sample("atoll_redis_memory_bytes") == 900
    assert sample("atoll_redis_up", "redis-1") == 0
    assert sample("atoll_redis_memory_bytes", "redis-1") is None
    worker_metrics.stores(told({("x", "redis-0"): None}))
    assert sample("atoll_redis_up") == 0
    assert sample("atoll_redis_memory_bytes") is None
    assert sample("atoll_redis_up", "redis-1") is None
    worker_metrics.stores({})
    assert sample("atoll_redis_up") is None
