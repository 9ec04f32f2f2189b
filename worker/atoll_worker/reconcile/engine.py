"""Runs the steps of one pass: each as soon as its needs are met, independent ones side by side."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from atoll.cluster.client import InitializingError
from atoll.domain.quota_tree import BrokenTreeError
from atoll.errors import (
    AtollError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    PermanentError,
    QuotaExceededError,
    StaleWriteError,
    TemporaryError,
)
from atoll.resources.meta import now_text
from atoll.telemetry import worker_metrics as metrics
from atoll_worker.reconcile.carry_out import carry_out
from atoll_worker.reconcile.outcome import AT_WORK, Done, Failed, Outcome, Wait
from atoll_worker.reconcile.scope import Scope
from atoll_worker.reconcile.step import Step

log = structlog.get_logger()
AGAIN_SECONDS = 0.5


@dataclass
class StepRun:
    """What one step came to in this pass, and how many changes it made (or, dry, would make)."""

    step: Step
    outcome: Outcome
    blocked: bool = False
    changes: int = 0
    facts: dict[str, Any] = field(default_factory=dict)
    began: str = ""
    ended: str = ""


@dataclass
class PassResult:
    """All steps of one pass, in their order."""

    runs: list[StepRun] = field(default_factory=list)
    whole: bool = False
    """Deletion: every step has had its turn and is proven gone."""

    @property
    def changes(self) -> int:
        """How many changes were made, or, dry, would be."""
        return sum(run.changes for run in self.runs)

    @property
    def done(self) -> bool:
        """Whether every step is."""
        return all(isinstance(run.outcome, Done) for run in self.runs)

    @property
    def facts(self) -> dict[str, Any]:
        """What all steps found out, by status field."""
        return {key: value for run in self.runs for key, value in run.facts.items()}

    @property
    def failed(self) -> list[Failed]:
        """The failures among the outcomes."""
        return [run.outcome for run in self.runs if isinstance(run.outcome, Failed)]


def failure(error: Exception) -> Failed | Wait:
    """The outcome for an error.

    What is not there yet is waited for, permanent ones say who can act, others are tried again.
    """
    match error:
        case PermanentError():
            return Failed(
                error.reason, error.detail, permanent=True, who=error.who, recheck=error.recheck
            )
        case TemporaryError():
            return Failed(error.reason, error.detail, who=error.who, delay=error.delay)
        case QuotaExceededError():
            return Failed("QuotaExceeded", error.detail, permanent=True, who="admin")
        case BrokenTreeError():
            return Failed("TeamTreeBroken", error.detail, permanent=True, who="admin")
        case StaleWriteError():
            return Failed("ChangedMeanwhile", error.detail, delay=0.2)
        case ForbiddenError() | InvalidError() if "atoll-fence" in error.detail:
            return Failed("NewerWriter", error.detail, delay=0.5)
        case InvalidError() | ForbiddenError():
            return Failed("Refused", error.detail, who=error.who, delay=10)
        case NotFoundError():
            return Wait("NotThereYet", error.detail)
        case AtollError():
            return Failed("ApiUnavailable", error.detail, who=error.who)
        case _:
            return Failed(
                "Unexpected", f"{type(error).__name__}; the worker's log has more", delay=5
            )


class Pass:
    """One time through the steps.

    A step with `again` that waits is looked at again while others have their first look: its chart is
    there, its pods start, and what needs them need not wait for the longest install of this pass.
    """

    def __init__(self, steps: Sequence[Step], scope: Scope) -> None:
        loop = asyncio.get_running_loop()
        self._steps, self._scope = steps, scope
        self._turns: dict[str, asyncio.Future[None]] = {
            step.condition: loop.create_future() for step in steps
        }
        """Done when a step has had its first look."""
        self._answers: dict[str, asyncio.Future[StepRun]] = {
            step.condition: loop.create_future() for step in steps
        }
        self._at_work = len(self._steps)
        """Steps that neither wait for others nor have had their first look."""
        self._begun: dict[str, str] = {}
        self._seen: dict[str, StepRun] = {}

    async def run(self) -> PassResult:
        """All steps, each in its turn."""
        async with asyncio.TaskGroup() as group:
            for step in self._steps:
                group.create_task(self._one(step))
        return PassResult([self._answers[step.condition].result() for step in self._steps])

    async def _one(self, step: Step) -> None:
        self._at_work -= 1
        for earlier in step.after:
            if earlier in self._turns:
                await self._turns[earlier]
        unmet = await self._unmet(step)
        self._at_work += 1
        self._begun[step.condition] = now_text()
        run = _blocked(step, unmet) if unmet else await run_step(step, self._scope)
        self._at_work -= 1
        self._seen[step.condition] = run
        self._turns[step.condition].set_result(None)
        if step.again and not (run.blocked or self._scope.dry):
            run = self._seen[step.condition] = await self._again(run)
        self._answers[step.condition].set_result(run)

    def so_far(self, known: Callable[[Step], StepRun | None]) -> PassResult:
        """What it has come to before it is over. `known`: what is known of a step that has not begun."""
        return PassResult([self._so_far(step, known) for step in self._steps])

    def _so_far(self, step: Step, known: Callable[[Step], StepRun | None]) -> StepRun:
        if run := self._seen.get(step.condition):
            return run
        before = known(step)
        if before and isinstance(before.outcome, Done):
            return before
        if begun := self._begun.get(step.condition):
            return StepRun(step, Wait(AT_WORK, "At work"), began=begun)
        return before or _blocked(step, next(iter(step.needs), step.condition))

    async def _again(self, run: StepRun) -> StepRun:
        """What it comes to while others are at work. A failure is left to the next pass, which it delays."""
        while self._at_work and isinstance(run.outcome, Wait):
            await asyncio.sleep(AGAIN_SECONDS)
            later = await run_step(run.step, self._scope)
            if isinstance(later.outcome, Failed):
                break
            run = replace(later, changes=run.changes + later.changes, began=run.began)
        return run

    async def _unmet(self, step: Step) -> str | None:
        """The first need that is not met; steps that virtual clusters of this mode do not have are."""
        for need in step.needs:
            if need in self._answers and not isinstance((await self._answers[need]).outcome, Done):
                return need
        return None


class Engine:
    """The steps of a virtual cluster, in order of need."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = tuple(steps)

    def one_pass(self, scope: Scope) -> Pass:
        """One pass, to be run. With `scope.dry` nothing is written; `changes` then counts what would be."""
        return Pass([step for step in self.steps if step.applies(scope)], scope)

    async def run(self, scope: Scope) -> PassResult:
        """One pass, run."""
        return await self.one_pass(scope).run()

    async def remove(self, scope: Scope) -> PassResult:
        """One pass of deletion: the mirror image, stopping at the first step that is not proven gone."""
        result = PassResult()
        steps = [step for step in self.steps if step.applies(scope)]
        for step in reversed(steps):
            run = await remove_step(step, scope)
            result.runs.insert(0, run)
            if not isinstance(run.outcome, Done):
                return result
        result.whole = True
        return result


def _blocked(step: Step, need: str) -> StepRun:
    word = need.removesuffix("Ready")
    return StepRun(step, Wait(f"WaitingFor{word}", f"Begins when {need} is true"), blocked=True)


async def run_step(step: Step, scope: Scope) -> StepRun:
    """observe, plan, apply, judge. Only cancellation gets out."""
    run = StepRun(step, Wait("NotLookedYet", ""), began=now_text())
    started = time.perf_counter()
    try:
        with structlog.contextvars.bound_contextvars(step=step.name):
            seen = await step.observe(scope)
            changes = step.plan(scope, seen)
            run.changes = len(changes)
            if changes and scope.dry:
                run.outcome = Wait("Planned", f"{len(changes)} changes to make")
            else:
                for change in changes:
                    await carry_out(change, scope)
                if changes:
                    seen = await step.observe(scope)
                run.outcome = step.judge(scope, seen)
            run.facts = step.facts(scope, seen)
    except Exception as error:  # noqa: BLE001  (a step must never take the others down)
        run.outcome = _failed(step, error)
    run.ended = now_text()
    metrics.step(step.name, run.outcome, time.perf_counter() - started, dry=scope.dry)
    return run


async def remove_step(step: Step, scope: Scope) -> StepRun:
    """Deletion: look, take away, look again."""
    run = StepRun(step, Wait("Removing", ""), began=now_text())
    started = time.perf_counter()
    try:
        with structlog.contextvars.bound_contextvars(step=step.name):
            left = await step.remains(scope)
            for change in step.remove_plan(scope, left):
                run.changes += 1
                await carry_out(change, scope)
            if run.changes:
                left = await step.remains(scope)
            run.outcome = step.removed(scope, left)
    except Exception as error:  # noqa: BLE001
        run.outcome = _failed(step, error)
    run.ended = now_text()
    metrics.step(step.name, run.outcome, time.perf_counter() - started, dry=False)
    return run


def _failed(step: Step, error: Exception) -> Failed | Wait:
    if isinstance(error, InitializingError):
        return step.unserved
    outcome = failure(error)
    if isinstance(outcome, Wait):
        return outcome
    unexpected = outcome.reason == "Unexpected"
    log.warning(
        "step.failed", step=step.name, reason=outcome.reason, detail=outcome.message,
        exc_info=error if unexpected else None,
    )  # fmt: skip
    return outcome
