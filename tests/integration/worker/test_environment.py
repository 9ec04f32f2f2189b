"""What a scheduler's chart has no value for, beside what helm wrote, on a real API server."""

from pathlib import Path

from atoll.cluster.client import Cluster
from atoll.cluster.kinds import DEPLOYMENT
from atoll_worker.reconcile.schedulers.yunikorn import YuniKorn
from atoll_worker.reconcile.steps.scheduler import with_environment

NAME = "yunikorn-scheduler"
BY_HELM = {"name": "GOGC", "value": "100"}


async def test_variables_come_beside_those_of_the_chart_and_once(api_server: Path) -> None:
    container = {"name": "scheduler", "image": "none", "env": [BY_HELM]}
    labels = {"app": NAME}
    async with Cluster.from_file(api_server) as cluster:
        await cluster.create({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": NAME, "namespace": "default"},
            "spec": {"selector": {"matchLabels": labels},
                     "template": {"metadata": {"labels": labels},
                                  "spec": {"containers": [container]}}},
        })  # fmt: skip
        made = await cluster.get(DEPLOYMENT, NAME, "default")
        told = with_environment(made, YuniKorn().environment)
        assert told is not None
        await cluster.apply(told)

        found = await cluster.get(DEPLOYMENT, NAME, "default")
        (after,) = found["spec"]["template"]["spec"]["containers"]
        assert BY_HELM in after["env"]
        assert {"name": "DISABLE_RESERVATION", "value": "true"} in after["env"]
        assert after["image"] == "none"
        assert with_environment(found, YuniKorn().environment) is None
