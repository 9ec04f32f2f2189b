"""The engine: order by need, side by side, one failure does not take the others down."""

import asyncio
from typing import Any, cast

import httpx2
import pytest
from lightkube.core.exceptions import ApiError

from atoll.cluster.client import translate
from atoll.errors import (
    ForbiddenError,
    NotFoundError,
    PermanentError,
    QuotaExceededError,
    TemporaryError,
    UnavailableError,
)
from atoll_worker.reconcile import engine
from atoll_worker.reconcile.engine import Engine, failure
from atoll_worker.reconcile.outcome import Change, Done, Failed, Outcome, Remove, Wait
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step


class FakeScope:
    """As much of a scope as the engine itself touches."""

    def __init__(self, dry: bool = False) -> None:
        self.dry = dry


def make(
    condition: str,
    needs: tuple[str, ...] = (),
    outcome: Outcome | Exception | None = None,
    changes: int = 0,
    seen: list[str] | None = None,
    gate: asyncio.Event | None = None,
) -> Step:
    result = outcome or Done()

    class Made(Step):
        async def observe(self, scope: Scope) -> Any:
            if seen is not None:
                seen.append(condition)
            if gate is not None:
                await gate.wait()
            if isinstance(result, Exception):
                raise result

        def plan(self, scope: Scope, seen_: Any) -> list[Change]:
            return [Remove(None, "x")] * changes

        def judge(self, scope: Scope, seen_: Any) -> Outcome:
            assert not isinstance(result, Exception)
            return result

    Made.name = Made.title = Made.condition = condition
    Made.needs = needs
    return Made()


async def run(*steps: Step, dry: bool = False) -> dict[str, Outcome]:
    result = await Engine(steps).run(cast(Scope, FakeScope(dry)))
    return {r.step.condition: r.outcome for r in result.runs}


async def test_a_step_whose_need_is_not_met_says_for_what_it_waits() -> None:
    got = await run(make("AReady", outcome=Wait("Slow", "")), make("B", ("AReady",)), make("C"))
    assert got["B"] == Wait("WaitingForA", "Begins when AReady is true")
    assert got["C"] == Done()


async def test_a_kind_that_is_served_in_a_moment_is_waited_for_and_no_failure() -> None:
    status = {
        "code": 503,
        "message": "Resource kind ray.io/v1, Kind=RayCluster not found. There can be a delay between "
        "when CustomResourceDefinitions are created and when they are available.",
    }
    answer = httpx2.Response(503, json=status, request=httpx2.Request("PATCH", "https://host"))
    error = translate(ApiError(response=answer), "RayCluster rays")
    plain = make("A", outcome=error)
    words = make("B", outcome=error)
    type(words).unserved = Wait("WaitingForOperator", "not served yet")
    assert await run(plain, words) == {
        "A": Step.unserved,
        "B": Wait("WaitingForOperator", "not served yet"),
    }


async def test_the_chain_runs_through_in_one_pass_whatever_the_order_of_the_list() -> None:
    seen: list[str] = []
    steps = [make("C", ("B",), seen=seen), make("B", ("A",), seen=seen), make("A", seen=seen)]
    got = await run(*steps)
    assert seen == ["A", "B", "C"]
    assert all(isinstance(o, Done) for o in got.values())


async def test_independent_steps_run_side_by_side() -> None:
    gate, seen = asyncio.Event(), cast(list[str], [])
    first = make("A", seen=seen, gate=gate)
    second = make("B", seen=seen)
    task = asyncio.create_task(run(first, second))
    await asyncio.sleep(0.01)
    assert seen == ["A", "B"]  # B was looked at while A still hung
    gate.set()
    await task


class Opens(Step):
    """Waits at its first look; the next comes to `then`."""

    name = title = condition = "A"
    again = True

    def __init__(self, then: Outcome | None = None) -> None:
        self.looks, self._then = 0, then or Done()

    async def observe(self, scope: Scope) -> int:
        self.looks += 1
        return self.looks

    def plan(self, scope: Scope, seen: int) -> list[Change]:
        return []

    def judge(self, scope: Scope, seen: int) -> Outcome:
        return self._then if seen > 1 else Wait("Starting", "")


async def test_what_waits_is_looked_at_again_while_another_is_at_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "AGAIN_SECONDS", 0)
    gone_on, opens = asyncio.Event(), Opens()

    class Dependant(Step):
        name = title = condition = "B"
        needs = ("A",)

        async def observe(self, scope: Scope) -> None:
            gone_on.set()

        def plan(self, scope: Scope, seen: None) -> list[Change]:
            return []

        def judge(self, scope: Scope, seen: None) -> Outcome:
            return Done()

    long = make("C", gate=gone_on)  # a helm install that ends only after B has had its turn
    async with asyncio.timeout(10):
        got = await run(opens, Dependant(), long)
    assert all(isinstance(outcome, Done) for outcome in got.values())
    assert opens.looks == 2


@pytest.mark.parametrize("why", ["nobody else is at work", "dry", "not its way"])
async def test_else_what_waits_is_looked_at_once(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "AGAIN_SECONDS", 0)
    opens, gate = Opens(), asyncio.Event()
    type(opens).again = why != "not its way"
    steps = [opens] if why.startswith("nobody") else [opens, make("C", gate=gate)]
    looking = asyncio.create_task(Engine(steps).run(cast(Scope, FakeScope(why == "dry"))))
    await asyncio.sleep(0.05)
    gate.set()
    async with asyncio.timeout(10):
        result = await looking
    type(opens).again = True
    assert isinstance(result.runs[0].outcome, Wait)
    assert opens.looks == 1


async def test_a_failure_of_a_second_look_is_left_to_the_next_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine, "AGAIN_SECONDS", 0)
    opens, gate = Opens(Failed("ApiUnavailable", "busy")), asyncio.Event()
    looking = asyncio.create_task(
        Engine([opens, make("C", gate=gate)]).run(cast(Scope, FakeScope()))
    )
    async with asyncio.timeout(10):
        while opens.looks < 2:
            await asyncio.sleep(0)
        gate.set()
        result = await looking
    assert result.runs[0].outcome == Wait("Starting", "")
    assert not result.failed  # else the next pass would have to wait


async def test_a_step_after_another_has_its_turn_later_even_when_that_one_waits() -> None:
    gate, seen = asyncio.Event(), cast(list[str], [])
    second, first = make("B", seen=seen), make("A", outcome=Wait("Slow", ""), seen=seen, gate=gate)
    type(second).after = ("A",)
    task = asyncio.create_task(run(second, first))
    await asyncio.sleep(0.01)
    assert seen == ["A"]  # B waits for A's turn
    gate.set()
    assert (await task)["B"] == Done()  # but not for what comes of it


async def test_a_failing_step_leaves_the_others_alone() -> None:
    got = await run(make("A", outcome=RuntimeError("boom")), make("B"))
    assert isinstance(got["A"], Failed)
    assert got["A"].reason == "Unexpected"
    assert "boom" not in got["A"].message  # unknown errors may carry secrets; the log has them
    assert got["B"] == Done()


async def test_a_dry_pass_counts_changes_and_makes_none() -> None:
    result = await Engine([make("A", changes=3)]).run(cast(Scope, FakeScope(dry=True)))
    assert result.changes == 3
    assert result.runs[0].outcome == Wait("Planned", "3 changes to make")


@pytest.mark.parametrize(
    ("error", "reason", "permanent"),
    [
        (PermanentError("no", reason="ChartMissing", who="admin"), "ChartMissing", True),
        (TemporaryError("later", reason="HelmBusy", delay=3), "HelmBusy", False),
        (QuotaExceededError("too much"), "QuotaExceeded", True),
        (UnavailableError("away"), "ApiUnavailable", False),
        (ForbiddenError("denied by atoll-fence"), "NewerWriter", False),
        (ForbiddenError("denied"), "Refused", False),
    ],
)
def test_every_error_becomes_a_reason(error: Exception, reason: str, permanent: bool) -> None:
    got = failure(error)
    assert isinstance(got, Failed)
    assert (got.reason, got.permanent) == (reason, permanent)


def test_what_is_not_there_yet_is_waited_for() -> None:
    assert failure(NotFoundError("no kind RayCluster")) == Wait("NotThereYet", "no kind RayCluster")


async def test_removal_goes_backwards_and_stops_where_something_is_left() -> None:
    gone: list[str] = []

    def removable(condition: str, outcome: Outcome) -> Step:
        step = make(condition)

        def removed(scope: Scope, left: Any) -> Outcome:
            gone.append(condition)
            return outcome

        step.removed = removed  # type: ignore[method-assign]
        return step

    steps = [removable("A", Done()), removable("B", Wait("Going", "")), removable("C", Done())]
    result = await Engine(steps).remove(cast(Scope, FakeScope()))
    assert gone == ["C", "B"]
    assert not result.done
    assert [r.step.condition for r in result.runs] == ["B", "C"]


class Elsewhere(Step):
    """A step of the other mode."""

    name = title = condition = "Elsewhere"

    def applies(self, scope: Scope) -> bool:
        return False


async def test_a_step_of_the_other_mode_is_left_out_and_nobody_waits_for_it() -> None:
    found = await run(Elsewhere(), make("Here", needs=("Elsewhere",)))
    assert found == {"Here": Done()}


async def test_deletion_is_whole_only_when_every_step_of_the_mode_is_proven_gone() -> None:
    class Stays(Step):
        name = title = condition = "Stays"

        def removed(self, scope: Scope, left: Any) -> Outcome:
            return Wait("Removing", "still there")

    scope = cast(Scope, FakeScope())
    assert (await Engine([Elsewhere(), make("Here")]).remove(scope)).whole
    assert not (await Engine([Stays(), make("Here")]).remove(scope)).whole
