"""What pods hold of a quota, what is free and what is over."""

from typing import Any

from atoll.domain.usage import free_of, over, requests_of


def container(cpu: str = "", limit: str = "", **more: Any) -> dict[str, Any]:
    requests = {"cpu": cpu} if cpu else {}
    return {"resources": {"requests": requests, "limits": {"cpu": limit} if limit else {}}, **more}


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"spec": {"containers": list(containers), **spec}, "status": {"phase": "Running"}}


def test_requests_are_summed_and_limits_stand_in_for_them() -> None:
    found = requests_of([pod(container("500m", "2"), container(limit="1")), pod(container("1"))])
    assert found == {"cpu": "2500m", "memory": "0", "pods": "2"}


def test_init_containers_count_at_most_and_sidecars_always() -> None:
    large = pod(container("1"), initContainers=[container("3")])
    assert requests_of([large])["cpu"] == "3"
    sidecar = container("1", restartPolicy="Always")
    beside = pod(container("1"), initContainers=[sidecar, container("3")])
    assert requests_of([beside])["cpu"] == "4"


def test_overhead_counts_and_ended_pods_do_not() -> None:
    ended = {**pod(container("9")), "status": {"phase": "Succeeded"}}
    found = requests_of([ended, pod(container("1"), overhead={"cpu": "250m"})])
    assert found["cpu"] == "1250m"
    assert found["pods"] == "1"


def test_free_is_never_below_nothing_and_over_says_by_how_much() -> None:
    limits, used = {"cpu": "2", "memory": "4Gi"}, {"cpu": "2500m", "memory": "1Gi", "pods": "3"}
    assert free_of(limits, used) == {"cpu": "0", "memory": "3Gi"}
    assert over(limits, used) == {"cpu": "500m"}
