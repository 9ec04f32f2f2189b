"""The real Volcano, in our queue and under our admission, never leaves a gang half there.

Ten thousand gangs: tests/e2e/test_gangs_by_thousands.py.
"""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from bench.gangs.judge import Gang
from bench.gangs.load import SPACE, group_of, pod_of
from bench.gangs.run import Stage, open_stage
from bench.gangs.tenant import comes
from bench.gangs.volcano import SCHEDULER

from atoll.cluster.client import Object
from atoll.cluster.kinds import POD, POD_GROUP
from builders.volcano_site import bundle

pytestmark = pytest.mark.asyncio(loop_scope="module")
CORES = 48
"""Of the queue and of the nodes, four each."""
PODS = f"api/v1/namespaces/{SPACE}/pods"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with open_stage(bundle(), tmp_path_factory.mktemp("volcano"), CORES) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def stage(site: Stage) -> AsyncIterator[Stage]:
    """Without a gang, before each test and after it."""
    yield site
    await site.admin.request("DELETE", f"{PODS}?gracePeriodSeconds=0")
    for group in await site.admin.items(POD_GROUP, SPACE):
        await site.admin.delete(POD_GROUP, group["metadata"]["name"], SPACE)

    async def empty() -> bool:
        return not await site.admin.items(POD, SPACE)

    await comes(empty, "all pods are gone")


async def test_gangs_at_half_as_much_again_as_there_is_run_whole(stage: Stage) -> None:
    figures = await stage.run(200)
    print("", *figures.lines(), sep="\n  ")
    assert not figures.faults
    assert not figures.left
    assert len(figures.waits) == 200


async def test_what_a_dead_scheduler_left_half_bound_is_made_whole(stage: Stage) -> None:
    """It died between two bindings: what is bound stays bound, and must not wait for ever."""
    stage.site.programs.kill(SCHEDULER)
    gang = Gang("half", 20, 1800)  # 36 of the 48 cores, two pods on a node
    await make(stage, gang)
    nodes = sorted(stage.site.nodes)
    for number in range(15):
        await bind(stage, f"half-{number}", nodes[number // 2])
    assert len(await bound(stage)) == 15
    stage.volcano.start_scheduler()

    async def whole() -> bool:
        return len(await bound(stage)) == gang.size

    await comes(whole, "all 20 pods are bound")


async def test_a_gang_that_lost_a_pod_gets_it_back_before_a_younger_one_begins(
    stage: Stage,
) -> None:
    """With the chart's own plugins the younger one takes the place, and the older stays half there."""
    old = Gang("old", CORES // 2, 1000)
    for gang in (old, Gang("filler", CORES // 2, 1000)):
        await make(stage, gang)

    async def full() -> bool:
        return len(await bound(stage)) >= CORES

    await comes(full, "both are bound")
    stage.site.programs.kill(SCHEDULER)
    await stage.tenant.request("DELETE", f"{PODS}/old-0?gracePeriodSeconds=0")
    await second_after(stage, "old")
    await make(stage, Gang("young", 2, 500))
    await stage.tenant.request("POST", PODS, body=pod_of(old, old.size))
    stage.volcano.start_scheduler()
    await comes(full, "the free core is taken")
    assert f"old-{old.size}" in await bound(stage)


async def test_a_gang_that_fits_is_not_held_up_by_an_older_one_that_does_not(stage: Stage) -> None:
    """With the action `enqueue` it was. The large gang is let in, for a fifth more than there is may be, and
    what the filler has counts as elastic: its PodGroup names no minResources. Then room is kept for it.
    """
    filler, large = Gang("filler", CORES // 2, 1000), Gang("large", CORES * 5 // 8, 1000)
    group = group_of(filler)
    group["spec"].pop("minResources", None)
    await make(stage, filler, group)

    async def filled() -> bool:
        return len(await bound(stage)) == filler.size

    await comes(filled, "the filler is bound")
    asked = group_of(large)
    asked["spec"]["minResources"] = {"cpu": str(large.size)}
    await make(stage, large, asked)

    async def looked_at() -> bool:
        found = await stage.admin.get(POD_GROUP, "large", SPACE)
        return bool((found.get("status") or {}).get("conditions"))

    await comes(looked_at, "the scheduler says why the large gang waits")
    await make(stage, Gang("small", 2, 2000))

    async def both() -> bool:
        return {"small-0", "small-1"} <= set(await bound(stage))

    await comes(both, "the small gang is bound")
    assert not [name for name in await bound(stage) if name.startswith("large")]


async def test_a_scheduler_killed_again_and_again_leaves_no_gang_half_there(stage: Stage) -> None:
    kills: list[int] = []

    def kill(done: int) -> None:
        if done % 25 == 0 and done < 100:
            stage.site.programs.kill(SCHEDULER)
            stage.volcano.start_scheduler()
            kills.append(done)

    figures = await stage.run(100, tell=kill)
    print("", f"killed after {kills} gangs", *figures.lines(), sep="\n  ")
    assert kills == [25, 50, 75]
    # While it is dead a gang stands as it is, so "at every event" is not asked; at the end all have run.
    assert not figures.left
    assert len(figures.waits) == 100


async def make(stage: Stage, gang: Gang, group: Object | None = None) -> None:
    await stage.tenant.create(group or group_of(gang))
    for number in range(gang.size):
        await stage.tenant.request("POST", PODS, body=pod_of(gang, number))


async def second_after(stage: Stage, gang: str) -> None:
    """Kubernetes tells ages by whole seconds: what is made from now on is younger than this gang."""
    group = await stage.admin.get(POD_GROUP, gang, SPACE)
    made = datetime.fromisoformat(group["metadata"]["creationTimestamp"])

    async def passed() -> bool:
        return datetime.now(UTC) >= made + timedelta(seconds=1)

    await comes(passed, "a second has passed")


async def bind(stage: Stage, pod: str, node: str) -> None:
    """As a scheduler does."""
    target = {"apiVersion": "v1", "kind": "Node", "name": node}
    body: Object = {
        "apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod}, "target": target,
    }  # fmt: skip
    await stage.admin.request("POST", f"{PODS}/{pod}/binding", body=body)


async def bound(stage: Stage) -> list[str]:
    found = await stage.admin.items(POD, SPACE)
    return [pod["metadata"]["name"] for pod in found if pod["spec"].get("nodeName")]
