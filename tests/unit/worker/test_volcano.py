"""Volcano's own: how it is configured inside a virtual cluster, and on a host where we install it."""

import yaml

from atoll.resources.profiles import Profile
from atoll_worker.reconcile.schedulers.volcano import CONFIGURATION, Volcano


def test_gangs_are_whole_queues_are_capped_and_none_is_let_in_by_an_estimate() -> None:
    chart = {"repository": "https://charts.example", "name": "c", "version": "1.15.1"}
    spec = {
        "kubernetes": {"version": "1.36.3"}, "vcluster": {"chart": chart}, "ray": {"version": "2.60.0"},
        "kuberay": {"chart": chart}, "scheduler": {"name": "volcano", "chart": chart},
    }  # fmt: skip
    profile = Profile.model_validate({"metadata": {"name": "p"}, "spec": spec})
    custom = Volcano().values(profile)["custom"]
    found = yaml.safe_load(custom["scheduler_config_override"])
    assert found == yaml.safe_load(CONFIGURATION)
    plugins = {plugin["name"] for tier in found["tiers"] for plugin in tier["plugins"]}
    assert plugins >= {"gang", "priority", "proportion", "predicates"}
    assert not plugins & {"drf", "overcommit"}
    assert found["actions"].split(", ") == ["allocate", "backfill"]
