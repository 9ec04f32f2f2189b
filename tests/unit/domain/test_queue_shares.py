"""The share of a queue: sums that never pass the team's, and what a scheduler can take."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from atoll.domain.quantities import parse_quantity
from atoll.domain.queue_shares import differences, queue_share

QUOTA = {
    "cpu": "4", "memory": "8Gi", "nvidia.com/gpu": "2", "pods": "20", "ephemeral-storage": "9Gi",
    "storage": "5Gi", "services": "4", "virtualclusters": "1", "rayclusters": "2",
    "count/jobs.batch": "3",
}  # fmt: skip


def test_the_capability_is_what_a_scheduler_hands_out() -> None:
    share = queue_share(QUOTA)
    wanted = ("cpu", "memory", "nvidia.com/gpu", "pods", "ephemeral-storage")
    assert share.capability == {r: QUOTA[r] for r in wanted}
    assert share.deserved == share.capability
    assert share.guarantee == {}


def test_each_virtual_cluster_brings_its_part_of_the_guarantee() -> None:
    share = queue_share(
        {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": "1"},
        {"cpu": "16", "memory": "32Gi", "nvidia.com/gpu": "3"},
        {"cpu": "8", "memory": "16Gi", "nvidia.com/gpu": "2"},
    )
    # 2 x 1/3 GPU is less than one, and there are no parts of a GPU.
    assert share.guarantee == {"cpu": "2", "memory": "4Gi", "nvidia.com/gpu": "0"}
    assert share.deserved == share.guarantee


def test_a_team_without_a_limit_or_with_none_left_promises_nothing() -> None:
    assert queue_share({"cpu": "4"}, {}, {"cpu": "2"}).guarantee == {}
    assert queue_share({"cpu": "4"}, {"cpu": "0"}, {"cpu": "0"}).guarantee == {}


@given(
    st.integers(1, 10**6), st.floats(0, 1), st.lists(st.integers(1, 10**5), min_size=1, max_size=9)
)
def test_the_parts_never_pass_the_whole(limit: int, share: float, quotas: list[int]) -> None:
    kept: list[int] = []
    for amount in quotas:  # the ledger lets in what fits
        if sum(kept) + amount <= limit:
            kept.append(amount)
    for resource, unit in (("cpu", "m"), ("memory", "Ki"), ("nvidia.com/gpu", "")):
        guaranteed = int(limit * share)
        total = Decimal(0)
        for amount in kept:
            made = queue_share(
                {resource: f"{amount}{unit}"}, {resource: f"{limit}{unit}"},
                {resource: f"{guaranteed}{unit}"},
            )  # fmt: skip
            part, most, cap = (
                parse_quantity(x[resource])
                for x in (made.guarantee, made.deserved, made.capability)
            )
            assert 0 <= part <= most <= cap
            total += part
        assert total <= parse_quantity(f"{guaranteed}{unit}")


def test_layers_differ_by_value_not_by_text() -> None:
    assert differences({"cpu": "2", "memory": "1Gi"}, {"cpu": "2000m", "memory": "1024Mi"}) == {}
    assert differences({"cpu": "2"}, {"cpu": "3", "pods": "1"}) == {
        "cpu": ("2", "3"), "pods": ("none", "1"),
    }  # fmt: skip
