"""A team's use, and the gauges: sums of what its virtual clusters say."""

from typing import Any

from prometheus_client import REGISTRY

from atoll.cluster.quota_trees import tree_of
from atoll.telemetry import worker_metrics
from atoll_worker.usage import Holding, gauges, holding_of, totals


def cluster(team: str, used: dict[str, str]) -> Holding:
    return holding_of({"spec": {"team": team, "quota": {"cpu": "2"}}, "status": {"used": used}})


TEAM: dict[str, Any] = {
    "metadata": {"name": "red"},
    "spec": {"quota": {"cpu": {"limit": "8"}, "virtualclusters": {"limit": "3"}}},
    "status": {
        "reserved": {"cpu": "5", "virtualclusters": "2"},
        "reservations": {
            "a": {"cpu": "2", "virtualclusters": "1"},
            "b": {"cpu": "2", "virtualclusters": "1"}, "b/17-x": {"cpu": "3"},
        },
    },
}  # fmt: skip
CLUSTERS = {
    "a": cluster("red", {"cpu": "1500m", "memory": "1Gi", "odd": "much"}),
    "b": cluster("red", {"cpu": "1"}), "c": cluster("blue", {"cpu": "7"}),
}  # fmt: skip


def test_a_team_uses_what_its_own_virtual_clusters_use() -> None:
    assert totals(TEAM, CLUSTERS, tree_of([TEAM])) == {
        "used": {"cpu": "2500m", "virtualclusters": "2"},
        "free": {"cpu": "3", "virtualclusters": "1"},
    }


def test_a_parent_uses_what_the_teams_below_it_use() -> None:
    teams = [{**TEAM, "metadata": {"name": "top"}}, {**TEAM, "spec": {"parent": "top"}}]
    found = totals(teams[0], CLUSTERS, tree_of(teams))["used"]
    assert found == {"cpu": "2500m", "virtualclusters": "2"}
    told = gauges(teams, CLUSTERS)
    assert told["used", "top", "", "cpu"] == told["used", "red", "", "cpu"] == 2.5
    assert told["reserved", "red", "a", "cpu"] == 2
    assert ("reserved", "top", "a", "cpu") not in told


def test_what_is_free_is_told_as_the_status_says_it_where_a_parent_binds_too() -> None:
    ledger = {"other": {"cpu": "6"}, "a": {"cpu": "2"}}
    top: dict[str, Any] = {
        "metadata": {"name": "top"},
        "spec": {"quota": {"cpu": {"limit": "9"}, "memory": {"limit": "4Gi"}}},
        "status": {"reservations": ledger},
    }
    red: dict[str, Any] = {
        "metadata": {"name": "red"},
        "spec": {"parent": "top", "quota": {"cpu": {"limit": "8"}}},
        "status": {"reserved": {"cpu": "2"}, "reservations": {"a": {"cpu": "2"}}},
    }
    spec = {"team": "red", "quota": {"cpu": "2"}}
    held = {"a": holding_of({"spec": spec, "status": {"free": {"cpu": "500m", "odd": "much"}}})}
    told = gauges([top, red], held)
    assert totals(red, held, tree_of([top, red]))["free"] == {"cpu": "1", "memory": "4Gi"}
    assert told["free", "red", "", "cpu"] == told["free", "top", "", "cpu"] == 1
    assert told["free", "red", "", "memory"] == 4 * 2**30
    assert told["free", "red", "a", "cpu"] == 0.5
    worker_metrics.quotas(told)
    labels = {"team": "red", "virtual_cluster": "a", "resource": "cpu"}
    assert REGISTRY.get_sample_value("atoll_quota_free", labels) == 0.5


def test_gauges_are_told_in_base_units_by_team_and_by_virtual_cluster() -> None:
    found = gauges([TEAM], CLUSTERS)
    assert found["limit", "red", "", "cpu"] == 8
    assert found["used", "red", "", "cpu"] == 2.5
    assert found["reserved", "red", "b", "cpu"] == 3  # a change under way counts as the larger
    assert found["limit", "red", "a", "cpu"] == 2
    assert found["used", "red", "a", "memory"] == 2**30


def test_what_is_gone_goes_off_the_page() -> None:
    def sample(name: str) -> float | None:
        labels = {"team": "red", "virtual_cluster": name, "resource": "cpu"}
        return REGISTRY.get_sample_value("atoll_quota_used", labels)

    worker_metrics.quotas(gauges([TEAM], CLUSTERS))
    assert sample("a") == 1.5
    worker_metrics.quotas(gauges([TEAM], {"b": CLUSTERS["b"]}))
    assert sample("a") is None
    assert sample("b") == 1
