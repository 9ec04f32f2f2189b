"""What a pass came to, as the status of the resource. Pure but for the clock that is handed in."""

from datetime import datetime, timedelta

from atoll.resources.meta import Condition, ConditionStatus, time_text
from atoll.resources.virtual_clusters import (
    Phase,
    StepState,
    StepStatus,
    VirtualCluster,
    VirtualClusterStatus,
)
from atoll_worker.reconcile.engine import Pass, PassResult, StepRun
from atoll_worker.reconcile.outcome import Done, Failed, Outcome, Wait
from atoll_worker.reconcile.step import Step

LONGEST_DELAY = 20.0


def _state(run: StepRun) -> StepState:
    match run.outcome:
        case Done():
            return "done"
        case Failed():
            return "failed"
        case _:
            return "waiting" if run.blocked else "running"


def _truth(outcome: Outcome, blocked: bool) -> ConditionStatus:
    if isinstance(outcome, Done):
        return "True"
    return "Unknown" if blocked else "False"


def step_status(run: StepRun, old: StepStatus | None) -> StepStatus:
    """The timeline's line of one step; times of a step that stays done do not move."""
    state = _state(run)
    if old and old.state == "done" and state == "done":
        started, finished = old.started_at, old.finished_at
    elif state == "waiting":
        started = finished = None
    else:
        began_before = old.started_at if old and old.state in ("running", "failed") else None
        started = began_before or run.began
        finished = run.ended if state == "done" else None
    return StepStatus(
        name=run.step.name,
        title=run.step.title,
        state=state,
        reason=run.outcome.reason,
        message=run.outcome.message,
        started_at=started,
        finished_at=finished,
    )


def set_condition(old: list[Condition], new: Condition, now: str) -> Condition:
    """`new` with the transition time of `old` when the status did not change."""
    before = next((c for c in old if c.type == new.type), None)
    same = before is not None and before.status == new.status
    new.last_transition_time = before.last_transition_time if same and before else now
    return new


def summary(result: PassResult) -> tuple[ConditionStatus, str, str]:
    """Status, reason and message of Ready: permanent failures first, then the first unfinished step."""
    open_runs = [run for run in result.runs if not isinstance(run.outcome, Done)]
    if not open_runs:
        return "True", "Ready", "Everything that was asked for is there"
    failed = [r for r in open_runs if isinstance(r.outcome, Failed)]
    permanent = [r for r in failed if isinstance(r.outcome, Failed) and r.outcome.permanent]
    first = (permanent or failed or [r for r in open_runs if not r.blocked] or open_runs)[0]
    return "False", first.outcome.reason, f"{first.step.title}: {first.outcome.message}"


def phase_of(vc: VirtualCluster, result: PassResult) -> Phase:
    """The one word for people; derived, never read back."""
    if vc.deleting:
        return "Deleting"
    if result.done:
        return "Ready"
    if any(f.permanent for f in result.failed):
        return "Failed"
    was_ready = vc.status.phase in ("Ready", "Degraded")
    same_wish = vc.status.observed_generation == vc.metadata.generation
    return "Degraded" if was_ready and same_wish else "Provisioning"


def known_run(vc: VirtualCluster, step: Step) -> StepRun | None:
    """What the status says of a step, as a run; None when it says nothing."""
    condition = next((c for c in vc.status.conditions if c.type == step.condition), None)
    if condition is None:
        return None
    if condition.status == "True":
        return StepRun(step, Done(condition.message))
    outcome = Wait(condition.reason, condition.message)
    return StepRun(step, outcome, blocked=condition.status == "Unknown")


def status_so_far(vc: VirtualCluster, part: Pass, now: datetime) -> VirtualClusterStatus | None:
    """The status while a pass is at work; None when it would say nothing new, or what only the end may say:
    that all is there, or when to try again.
    """
    if vc.deleting or vc.status.phase in ("Ready", "Degraded"):
        return None
    result = part.so_far(lambda step: known_run(vc, step))
    if result.done:
        return None
    status = next_status(vc, result, now)
    status.failures, status.retry_at = vc.status.failures, vc.status.retry_at
    return status if differs(vc.status, status) else None


def _retry_at(result: PassResult, failures: int, now: datetime, jitter: float) -> str | None:
    if not result.failed:
        return None
    base = min(f.delay for f in result.failed)
    if all(f.permanent for f in result.failed):
        base = 15.0
    steady = [f.recheck for f in result.failed if f.recheck is not None]
    delay = min([LONGEST_DELAY, base * 2 ** min(failures - 1, 6), *steady])
    return time_text(now + timedelta(seconds=delay * (0.75 + jitter / 2)))


def next_status(
    vc: VirtualCluster,
    result: PassResult,
    now: datetime,
    jitter: float = 0.5,
) -> VirtualClusterStatus:
    """The whole status after a pass; what no step told anew stays as it was."""
    old, facts = vc.status, result.facts
    stamp = time_text(now)
    begins_to_go = vc.deleting and old.phase != "Deleting"
    by_name = {} if begins_to_go else {step.name: step for step in old.steps}
    new_wish = old.observed_generation != vc.metadata.generation
    conditions = [
        Condition(
            type=run.step.condition,
            status=_truth(run.outcome, run.blocked),
            reason=run.outcome.reason,
            message=run.outcome.message,
            observed_generation=vc.metadata.generation,
        )
        for run in result.runs
    ]
    truth, reason, message = summary(result)
    if vc.deleting:
        truth, reason = "False", "Deleting"
    conditions.append(
        Condition(
            type="Ready", status=truth, reason=reason, message=message,
            observed_generation=vc.metadata.generation,
        )
    )  # fmt: skip
    failures = old.failures + 1 if result.failed else 0
    return VirtualClusterStatus(
        phase=phase_of(vc, result),
        observed_generation=vc.metadata.generation,
        conditions=[set_condition(old.conditions, c, stamp) for c in conditions],
        steps=[step_status(run, by_name.get(run.step.name)) for run in result.runs],
        operation_started_at=stamp if new_wish else old.operation_started_at,
        fence=old.fence,
        namespace=facts.get("namespace", old.namespace),
        nodes=facts.get("nodes", old.nodes),
        kubernetes_version=facts.get("kubernetes_version", old.kubernetes_version),
        scheduler=facts.get("scheduler", old.scheduler),
        used=facts.get("used", old.used),
        free=facts.get("free", old.free),
        failures=failures,
        retry_at=_retry_at(result, failures, now, jitter),
    )


def differs(old: VirtualClusterStatus, new: VirtualClusterStatus) -> bool:
    """Whether the change is worth a write: everything but when to try again and who wrote."""
    quiet = {"retry_at", "failures", "fence"}
    return old.model_dump(exclude=quiet) != new.model_dump(exclude=quiet)
