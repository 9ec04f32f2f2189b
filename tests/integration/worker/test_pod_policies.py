"""What pods, gangs and queues may be inside a virtual cluster, on a real API server."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from e2e.kube import Kube, Object
from integration.worker.admission import QUEUE, QUEUE_LABEL, account, ask, group, pod
from waiting import until

Change = Callable[[Object], Any]


@pytest.mark.parametrize(
    "change",
    [
        lambda p: p["spec"].update(schedulerName="default-scheduler"),
        lambda p: p["metadata"]["annotations"].clear(),
        lambda p: p["metadata"]["annotations"].update({"scheduling.volcano.sh/queue-name": "b"}),
        lambda p: p["metadata"].update(labels={QUEUE_LABEL: "b"}),
        lambda p: p["metadata"]["annotations"].update({"volcano.sh/preemptable": "false"}),
        lambda p: p["spec"].update(nodeName="n1"),
    ],
)
def test_a_pod_goes_through_the_queue_and_nowhere_else(kube: Kube, change: Change) -> None:
    good = pod(schedulerName="volcano")
    good["metadata"]["annotations"]["scheduling.volcano.sh/queue-name"] = QUEUE
    assert ask(kube, good).status_code == 201
    change(good)
    assert ask(kube, good).status_code == 403


def test_gangs_stay_in_the_queue_and_queues_are_the_platforms(kube: Kube) -> None:
    assert ask(kube, group(QUEUE)).status_code == 201
    assert ask(kube, group("default")).status_code == 403
    queue = {
        "apiVersion": "scheduling.volcano.sh/v1beta1", "kind": "Queue",
        "metadata": {"name": "mine"}, "spec": {"weight": 9},
    }  # fmt: skip
    assert ask(kube, queue).status_code == 201  # we are the administrator
    answer = ask(account(kube, "default", "o"), queue)
    assert answer.status_code == 403
    assert "made by the platform" in answer.json()["message"]


def test_a_pod_is_put_into_the_queue_with_requests_that_count(mutating: Kube) -> None:
    bare = pod(schedulerName="default-scheduler")
    bare["metadata"]["annotations"]["scheduling.volcano.sh/queue-name"] = "default"
    bare["spec"]["containers"] += [
        {"name": "d", "image": "d", "resources": {"limits": {"cpu": "2"}}, "command": ["x"]}
    ]
    answer = ask(mutating, bare)
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert made["spec"]["schedulerName"] == "volcano"
    assert made["metadata"]["annotations"]["scheduling.volcano.sh/queue-name"] == QUEUE
    first, second = made["spec"]["containers"]
    default = {"memory": "128Mi", "ephemeral-storage": "100Mi"}
    assert first["resources"]["requests"] == {"cpu": "50m", **default}
    assert second["resources"] == {"limits": {"cpu": "2"}, "requests": {"cpu": "2", **default}}
    assert second["command"] == ["x"]
    assert ask(mutating, group("default")).json()["spec"]["queue"] == QUEUE


def worker_of_ray(*init: Object, **labels: str) -> Object:
    env = [{"name": "FQ_RAY_IP", "value": "rays-head-svc.ray"}, {"name": "RAY_PORT", "value": "6379"},
           {"name": "RAY_ADDRESS", "value": "rays-head-svc.ray:6379"}]  # fmt: skip
    ray = {"name": "ray", "image": "ray:1", "imagePullPolicy": "Never", "env": env}
    made = pod(containers=[ray], initContainers=list(init))
    made["metadata"]["labels"] = {"ray.io/node-type": "worker", **labels}
    return made


def starts(answer: httpx2.Response) -> list[str]:
    assert answer.status_code == 201, answer.text
    return [c["name"] for c in answer.json()["spec"].get("initContainers", [])]


def test_a_ray_worker_waits_for_the_port_of_its_head(mutating: Kube) -> None:
    until(
        lambda: starts(ask(mutating, worker_of_ray())) == ["wait-gcs-ready"],
        "the wait is put in", 30,
    )  # fmt: skip
    own = {"name": "own", "image": "own"}
    answer = ask(mutating, worker_of_ray(own))
    assert sorted(starts(answer)) == ["own", "wait-gcs-ready"]
    waits = next(c for c in answer.json()["spec"]["initContainers"] if c["name"] != "own")
    assert (waits["image"], waits["imagePullPolicy"]) == ("ray:1", "Never")
    assert [e["name"] for e in waits["env"]] == ["FQ_RAY_IP", "RAY_PORT"]
    assert "/dev/tcp/$FQ_RAY_IP/$RAY_PORT" in waits["command"][-1]


def test_a_wait_of_kuberay_or_a_user_is_left_alone(mutating: Kube) -> None:
    theirs = {"name": "wait-gcs-ready", "image": "theirs"}
    answer = ask(mutating, worker_of_ray(theirs))
    assert starts(answer) == ["wait-gcs-ready"]
    assert answer.json()["spec"]["initContainers"][0]["image"] == "theirs"


def test_a_head_waits_for_nobody(mutating: Kube) -> None:
    assert starts(ask(mutating, worker_of_ray(**{"ray.io/node-type": "head"}))) == []
