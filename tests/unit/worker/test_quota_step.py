"""What the condition QuotaReady says: who lags and by how much, what is over, or that all agree."""

from types import SimpleNamespace
from typing import Any

import pytest

from atoll.resources.virtual_clusters import VirtualCluster
from atoll_worker.reconcile.outcome import Done, Wait
from atoll_worker.reconcile.steps.quota import Layer, Quota, Seen, _devices


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
