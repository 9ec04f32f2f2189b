"""What the condition QuotaReady says: who lags and by how much, what is over, or that all agree."""

from types import SimpleNamespace
from typing import Any

import pytest

from atoll.resources.virtual_clusters import VirtualCluster
from atoll_worker.reconcile.outcome import Done, Wait
from atoll_worker.reconcile.queue_layers import Layer
from atoll_worker.reconcile.steps.quota import Quota, Seen, _devices


def scope(**quota: str) -> Any:
    spec = {"team": "red", "quota": quota}
    vc = VirtualCluster.model_validate({"metadata": {"name": "a"}, "spec": spec})
    return SimpleNamespace(vc=vc)


def test_a_layer_that_lags_is_named_with_both_numbers() -> None:
    lagging = Layer("the queue team-red inside", {"cpu": "4", "memory": "8Gi"}, {"cpu": "2"})
    agreeing = Layer("the team's ledger", {"cpu": "4"}, {"cpu": "4000m"})
    told = Quota().judge(scope(cpu="4"), Seen((agreeing, lagging), {}))
    assert told == Wait(
        "LayerLags",
        "the queue team-red inside: cpu 4 wanted, 2 found; "
        "the queue team-red inside: memory 8Gi wanted, none found",
    )


def test_more_than_the_quota_is_said_and_is_no_failure() -> None:
    told = Quota().judge(scope(cpu="1", memory="2Gi"), Seen((), {"cpu": "2500m", "memory": "1Gi"}))
    assert isinstance(told, Done)
    assert told.reason == "OverQuota"
    assert "cpu 2500m of 1." in told.message
    assert "memory" not in told.message


def test_use_and_free_are_told_by_resource_of_the_quota() -> None:
    found = Quota().facts(scope(cpu="4", virtualclusters="1"), Seen((), {"cpu": "1"}))
    assert found == {"used": {"cpu": "1"}, "free": {"cpu": "3"}}


def copied(namespace: str, **requests: str) -> dict[str, Any]:
    """A pod that vcluster copied from a namespace inside, and that has a node."""
    container = {"name": "c", "resources": {"requests": requests}}
    labels = {"vcluster.loft.sh/namespace": namespace}
    return {
        "metadata": {"labels": labels}, "spec": {"nodeName": "n", "containers": [container]},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("pods", "cpu", "gpus", "number"),
    [
        ([copied("ray", cpu="1")], "1", "0", "1"),
        ([copied("ray", cpu="1"), copied("kube-system", cpu="20m")], "1", "0", "1"),
        ([copied("kube-system", cpu="3"), copied("atoll-system", cpu="400m")], "3", "0", "0"),
        ([copied("atoll-system", **{"nvidia.com/gpu": "2"})], "0", "2", "0"),
        ([copied("kube-system", cpu="1m") for _ in range(9)], "0", "0", "3"),
    ],
    ids=["the team's", "the platform's", "more than its share", "devices", "many"],
)
async def test_what_passes_the_platforms_own_share_counts_in_its_namespaces_too(
    pods: list[dict[str, Any]], cpu: str, gpus: str, number: str
) -> None:
    """An owner may have pods there, and the host's ResourceQuota counts them."""

    class Host:
        async def items(self, kind: object, *where: object) -> list[dict[str, Any]]:
            return pods

    looked = scope(cpu="4", pods="9", **{"nvidia.com/gpu": "2"})
    looked.host, looked.namespace = Host(), "vc-a"
    used = await Quota()._used(looked)
    assert (used["cpu"], used.get("nvidia.com/gpu", "0"), used["pods"]) == (cpu, gpus, number)


def test_a_device_that_no_node_has_is_told_with_those_there_are() -> None:
    seen = Seen((), {}, ("amd.com/gpu",), ("nvidia.com/gpu",))
    told = Quota().judge(scope(**{"amd.com/gpu": "1"}), seen)
    assert told == Done(
        "No node of the host has amd.com/gpu, so what asks for it waits for ever; devices there: "
        "nvidia.com/gpu",
        reason="DeviceUnknown",
    )


@pytest.mark.parametrize(
    ("quota", "sizes", "expected"),
    [
        ({"amd.com/gpu": "1"}, [{"nvidia.com/gpu": "2", "cpu": "4"}], ("amd.com/gpu",)),
        ({"nvidia.com/gpu": "1"}, [{"nvidia.com/gpu": "2"}], ()),
        ({"amd.com/gpu": "0"}, [{"cpu": "4"}], ()),
        ({"amd.com/gpu": "1"}, [{"cpu": "4"}, {}], ()),  # one has not said yet
        ({"amd.com/gpu": "1"}, [], ()),
        ({"cpu": "1", "count/pods": "2"}, [{"cpu": "4"}], ()),
    ],
)
async def test_which_devices_are_unknown(
    quota: dict[str, str], sizes: list[dict[str, str]], expected: tuple[str, ...]
) -> None:
    class Nodes:
        async def items(self, kind: object) -> list[dict[str, Any]]:
            return [{"status": {"allocatable": size}} for size in sizes]

    looked = SimpleNamespace(vc=scope(**quota).vc, host=Nodes())
    assert (await _devices(looked))[0] == expected  # type: ignore[arg-type]
