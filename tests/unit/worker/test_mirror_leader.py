"""What the host's queues tell the mirror."""

import asyncio
from typing import cast

import pytest

from atoll.cluster.client import Cluster, Object
from atoll.domain import names
from atoll.settings import Settings
from atoll_worker.mirror.leader import Mirror


def queue(cpu: str, labels: dict[str, str] | None) -> Object:
    meta = {"name": "vc-pool"} | ({} if labels is None else {"labels": labels})
    return {"metadata": meta, "status": {"allocated": {"cpu": cpu}}}


@pytest.mark.parametrize("labels", [None, {}, {names.LABEL_STEP: "host-queue"}])
async def test_a_queue_without_its_label_tells_nothing_and_stops_nothing(
    labels: dict[str, str] | None,
) -> None:
    hinted: list[str] = []

    async def hint(name: str) -> None:
        hinted.append(name)

    mirror = Mirror(cast(Cluster, None), Settings(), hint)
    ours = {names.LABEL_VIRTUAL_CLUSTER: "pool"}
    for told in (queue("1", labels), queue("1", ours), queue("1", ours), queue("2", ours)):
        mirror._tell(told)
    await asyncio.gather(*mirror._hints)
    assert hinted == ["pool", "pool"]
