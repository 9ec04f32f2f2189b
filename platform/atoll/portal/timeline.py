"""The state of a virtual cluster as one sentence, and its steps as rows of a timeline. Pure."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from atoll.contract.virtual_clusters import VirtualClusterRead
from atoll.portal.times import duration, parse_time, seconds_between
from atoll.portal.words import STEPS, Tone, reason_words, state_words, step_words
from atoll.resources.meta import Condition
from atoll.resources.virtual_clusters import StepState, StepStatus


@dataclass(frozen=True)
class State:
    """One sentence: `text`, then the time since `since`; `more` says why and what is next."""

    tone: Tone
    text: str
    since: str | None = None
    elapsed: str = ""
    more: str = ""
    joint: str = ", "
    """What stands between the text and the elapsed time."""


@dataclass(frozen=True)
class Row:
    """One step. `left` and `width` place it on the operation's time line, in percent."""

    number: int
    name: str
    title: str
    state: StepState
    word: str
    tone: Tone
    message: str
    started_at: str | None
    running_since: str | None
    took: str
    left: float
    width: float


@dataclass(frozen=True)
class Timeline:
    """All steps, how many are done, and how long the whole took so far."""

    rows: list[Row]
    done: int
    total: str

    @property
    def finished(self) -> bool:
        """Whether every step is done."""
        return bool(self.rows) and self.done == len(self.rows)


def ready_condition(cluster: VirtualClusterRead) -> Condition:
    """The summary condition; an unknown one when it was never set."""
    found = (c for c in cluster.status.conditions if c.type == "Ready")
    return next(found, Condition(type="Ready"))


def state_of(cluster: VirtualClusterRead, now: datetime) -> State:
    """What is going on, in one sentence."""
    if cluster.status.observed_generation < cluster.generation:
        return _accepted(cluster, now)
    steps = cluster.status.steps
    failed = next((s for s in steps if s.state == "failed"), None)
    if failed or cluster.status.phase == "Failed":
        return _failed(cluster, failed, now)
    running = next((s for s in steps if s.state == "running"), None)
    if running:
        more = running.message or (reason_words(running.reason) if running.reason else "")
        return _since("busy", _where(cluster, running), running.started_at, now, more)
    return _settled(cluster, now)


def _settled(cluster: VirtualClusterRead, now: datetime) -> State:
    ready = ready_condition(cluster)
    if cluster.deleting_since:
        return _since("busy", "Everything is removed; its name goes next", None, now)
    if ready.status == "True":
        state = _since("good", "Ready to use", ready.last_transition_time, now)
        return replace(state, joint=" for ")
    more = ready.message or reason_words(ready.reason)
    tone: Tone = "warn" if cluster.status.phase == "Degraded" else "calm"
    text = "Degraded: something that was ready is not" if tone == "warn" else "Waiting"
    return _since(tone, text, ready.last_transition_time, now, more)


def _accepted(cluster: VirtualClusterRead, now: datetime) -> State:
    if cluster.deleting_since:
        text = "Deletion was asked for; a worker takes it next"
        return _since("busy", text, cluster.deleting_since, now)
    if cluster.status.observed_generation:
        return State("busy", "A change was accepted; a worker takes it next")
    text = "Accepted; a worker takes it next"
    return _since("calm", text, cluster.created_at, now, "It usually starts within two seconds.")


def _where(cluster: VirtualClusterRead, step: StepStatus) -> str:
    """What is being done, which step it is, of how many."""
    steps = cluster.status.steps
    deleting = cluster.deleting_since is not None
    doing = step_words(step.name, step.title, deleting=deleting)
    if not deleting:
        number = [s.name for s in steps].index(step.name) + 1
        return f"{doing}, step {number} of {len(steps)}"
    # Deletion runs the steps backwards, and the status holds those it has come to.
    done = sum(s.state == "done" for s in steps)
    return f"{doing}, step {done + 1} of {max(len(steps), len(STEPS))}"


def _failed(cluster: VirtualClusterRead, step: StepStatus | None, now: datetime) -> State:
    """A failure that lasts is bad; one that is tried again is only worth a warning."""
    status, ready = cluster.status, ready_condition(cluster)
    source: StepStatus | Condition = step or ready
    more = source.message or reason_words(source.reason)
    if status.retry_at:
        wait = max((parse_time(status.retry_at) or now) - now, timedelta(0))
        tries = f"Tried {status.failures} times" if status.failures > 1 else "Tried once"
        more = f"{more.rstrip('.')}. {tries}; next try in {duration(wait.total_seconds())}."
    where = _where(cluster, step) if step else ""
    where = f": {where[:1].lower()}{where[1:]}" if where else ""
    if status.phase == "Failed":
        return _since("bad", f"Failed{where}", ready.last_transition_time, now, more)
    return _since("warn", f"Trying again{where}", step.started_at if step else None, now, more)


def _since(tone: Tone, text: str, since: str | None, now: datetime, more: str = "") -> State:
    elapsed = duration(seconds_between(since or None, None, now))
    return State(tone, text, since or None, elapsed, more)


def timeline_of(cluster: VirtualClusterRead, now: datetime) -> Timeline:
    """The steps with real times, on one scale from the first start to the end, or to now."""
    deleting = cluster.deleting_since is not None
    steps = cluster.status.steps[::-1] if deleting else cluster.status.steps
    if deleting and cluster.status.observed_generation < cluster.generation:
        steps = []  # those of the creation; no worker has begun to delete
    starts = [t for s in steps if (t := parse_time(s.started_at))]
    begin = min(starts, default=now)
    busy = any(s.state == "running" for s in steps)
    ends = [t for s in steps if (t := parse_time(s.finished_at))]
    end = now if busy or not ends else max(ends)
    whole = max((end - begin).total_seconds(), 0.001)
    scale = _Scale(begin, whole, now)
    rows = [_row(i, s, scale, deleting) for i, s in enumerate(steps, start=1)]
    done = sum(s.state == "done" for s in steps)
    return Timeline(rows, done, duration(whole) if starts else "")


@dataclass(frozen=True)
class _Scale:
    """The time line of an operation: where it begins and how many seconds it is long."""

    begin: datetime
    seconds: float
    now: datetime


def _row(number: int, step: StepStatus, scale: _Scale, deleting: bool) -> Row:
    word, tone = state_words(step.state)
    running = step.state == "running"
    finished = None if running else step.finished_at or step.started_at
    seconds = seconds_between(step.started_at, finished, scale.now)
    started = parse_time(step.started_at)
    left = (started - scale.begin).total_seconds() / scale.seconds * 100 if started else 0.0
    left = min(max(left, 0.0), 99.0)
    width = min(max((seconds or 0.0) / scale.seconds * 100, 1.0), 100.0 - left)
    message = step.message or (reason_words(step.reason) if step.reason else "")
    title = "" if deleting else step.title
    title = title or step_words(step.name, step.title, deleting=deleting)
    return Row(
        number, step.name, title, step.state, word, tone,
        message if step.state in ("running", "failed") else "",
        step.started_at, step.started_at if running else None,
        duration(seconds) if started else "", round(left, 2), round(width, 2) if started else 0.0,
    )  # fmt: skip
